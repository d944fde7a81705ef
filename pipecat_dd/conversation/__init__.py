"""The conversation: its session, turns, stages and participants, and which code works for whom.

This package depends neither on Pipecat's frames nor on Datadog's spans.
:mod:`pipecat_dd.instrumentation` reports what happened, this package derives what it means, and
:mod:`pipecat_dd.export` sends it.
"""
