"""What a team looks at and is woken by: made in its Datadog organisation by ``pipecat-dd setup``.

The definitions are plain functions that return what Datadog's API takes. What is wanted is
compared with what is found there, and only what differs is touched. Everything made bears a mark
that names it, so that it is found again, and so that nothing else is ever changed or deleted.
"""
