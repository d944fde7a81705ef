"""``pipecat-dd doctor``: why nothing, or not all, of a bot shows in Datadog.

It looks at what a bot would be started with (what is installed, how ddtrace is switched on, the
environment), asks the Agent or the intake whether it answers, and holds a tiny session of its own
to see whether lines carry their ids. What it found comes as a list of findings, each with what to
do. It changes nothing, and prints no key.

A group of checks is a module here; `checks.py` lists them.
"""
