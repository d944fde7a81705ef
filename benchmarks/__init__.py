"""Benchmarks of what pipecat_dd costs a bot and what it reports, run on your own machine.

``python -m benchmarks --help`` lists the commands.

Each command is a module that measures, with a function that shows the results. They share:

* :mod:`~benchmarks.quiet`: runs ddtrace and OpenTelemetry without sending anything.
* :mod:`~benchmarks.contenders`: the observers to compare.
* :mod:`~benchmarks.workload`: the pipeline and the frames for the comparison.
* :mod:`~benchmarks.live`: calls in real time, with audio in and out.
* :mod:`~benchmarks.machine`: the machine and the versions that were measured.
* ``tests.support.calls``, ``tests.support.ill_agent``: calls that run as fast as possible, and an
  Agent that can be made to fail.
* ``tests.support.anywhere``: bots that log lines from everywhere.
"""
