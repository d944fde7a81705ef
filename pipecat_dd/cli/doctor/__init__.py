"""``pipecat-dd doctor``: find out why a bot's telemetry is missing from Datadog, or incomplete.

The doctor checks what the bot would start with (installed packages, how ddtrace is enabled, the
environment), whether the Agent or the intake answers, and, in a small session of its own, whether
log lines carry their ids. It reports findings, each with what to do about it. It changes nothing
and prints no keys.

Each group of checks is a module in this package; `checks.py` lists the groups.
"""
