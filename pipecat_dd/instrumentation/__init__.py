"""Instruments the pipeline: observes what happens, in the task in which it happens.

:mod:`~pipecat_dd.instrumentation.pipeline` patches each processor;
:mod:`~pipecat_dd.instrumentation.dispatcher` dispatches each frame once;
:mod:`~pipecat_dd.instrumentation.frame_handlers` has a handler for each class of frame.
"""
