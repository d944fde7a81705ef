"""What is known of the conversation: session, turns, stages, and who is at work where.

Nothing in here knows Pipecat's frames or Datadog's spans. :mod:`pipecat_dd.instrumentation` reports
what happened, this package works out what it means, and :mod:`pipecat_dd.export` sends it.
"""
