"""What happens in the pipeline, observed where it happens.

:mod:`~pipecat_dd.instrumentation.hooks` patches each processor, in whose own task the work is done;
:mod:`~pipecat_dd.instrumentation.ear` takes each frame once, and
:mod:`~pipecat_dd.instrumentation.moments` says what a frame means.
"""
