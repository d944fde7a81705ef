"""What happens in the pipeline, heard where it happens.

:mod:`~pipecat_dd.hearing.hooks` stands in each processor's own task, :mod:`~pipecat_dd.hearing.ear`
hears each frame once, and :mod:`~pipecat_dd.hearing.moments` says what a frame means.
"""
