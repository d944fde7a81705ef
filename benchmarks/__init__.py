"""What pipecat_dd costs, run on the machine you are on: ``python -m benchmarks cost``.

Each command is one module that measures and one function that shows; what they share stands
by itself:

* :mod:`~benchmarks.quiet`: ddtrace and OpenTelemetry at work, with nothing sent.
* :mod:`~benchmarks.contenders`: the observers that are compared.
* :mod:`~benchmarks.workload`: the pipeline and the frames that they are compared on.
* :mod:`~benchmarks.machine`: where and on what a figure was measured.
"""
