"""What pipecat_dd costs and what it gives, run on the machine you are on.

``python -m benchmarks --help`` lists the commands.

Each command is one module that measures and one function that shows; what they share stands
by itself:

* :mod:`~benchmarks.quiet`: ddtrace and OpenTelemetry at work, with nothing sent.
* :mod:`~benchmarks.contenders`: the observers that are compared.
* :mod:`~benchmarks.workload`: the pipeline and the frames that they are compared on.
* ``tests.support.calls``, ``tests.support.ill_agent``: calls that go as fast as they can, and an
  Agent that can be ill.
* ``tests.support.anywhere``: the bots that write lines from everywhere.
* :mod:`~benchmarks.machine`: where and on what a figure was measured.
"""
