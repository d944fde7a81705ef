"""What happens in the pipeline, observed where it happens.

:mod:`~pipecat_dd.instrumentation.pipeline` patches each processor, in whose own task the work is
done; :mod:`~pipecat_dd.instrumentation.dispatcher` dispatches each frame once;
:mod:`~pipecat_dd.instrumentation.frame_handlers` has a handler for each class of frame.
"""
