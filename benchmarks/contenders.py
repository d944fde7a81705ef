"""The observers to compare, each added to a bot as its documentation says."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature
from typing import Any

from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline

from benchmarks import quiet
from benchmarks.workload import PipelineWorker, make_worker

NONE = "none"
EMPTY = "empty"
OURS = "pipecat_dd"
METRICS = "pipecat_dd_metrics"
EVERYTHING = "pipecat_dd_everything"

_EVERYTHING = {"metrics": True, "blocked_ms": 100}
"""All that observes a bot beyond its spans, but for what sends texts. An argument that this version
of the observer does not have is left out."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An observer to measure, or a baseline without one.

    Attributes:
        key: Its name in the JSON.
        label: Its name in the table.
        build: Creates a new worker with the observer, from a pipeline and the worker's options.
        counter: Counts its spans; None if it creates none.
        missing: Why it cannot be measured here; None if it can.
    """

    key: str
    label: str
    build: Callable[..., PipelineWorker]
    counter: quiet.Counter | None = None
    missing: str | None = None


class Empty(BaseObserver):
    """Receives every event and does nothing: the lowest cost of an ordinary observer."""


class FirstPushes(BaseObserver):
    """Does nothing, and receives only the first push of each frame (since Pipecat 1.12).

    It still receives an event for every frame that a processor processes.
    """

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)


def contenders() -> list[Contender]:
    """Return all contenders, including those that cannot be measured here.

    This configures ddtrace and OpenTelemetry to drop all spans, so call it once per process.
    """
    return [
        Contender(NONE, "no observer", make_worker),
        Contender(
            EMPTY, "an empty observer", lambda p, **o: make_worker(p, observers=[Empty()], **o)
        ),
        _first_pushes(),
        *_pipecat_dd(),
        *_opentelemetry(),
    ]


def _first_pushes() -> Contender:
    known = hasattr(BaseObserver, "observe_every_push")
    return Contender(
        "empty_first_pushes",
        "an empty observer of first pushes",
        lambda p, **o: make_worker(p, observers=[FirstPushes()], **o),
        missing=None if known else "not in this Pipecat",
    )


def _pipecat_dd() -> list[Contender]:
    from pipecat_dd import DatadogObserver

    counter = quiet.Counter()
    quiet.count_ddtrace(counter)
    quiet.swallow_metrics()
    known = signature(DatadogObserver).parameters
    everything: dict[str, Any] = {n: value for n, value in _EVERYTHING.items() if n in known}
    without_metrics = None if find_spec("datadog") is not None else "not installed: datadog"
    return [
        Contender(
            OURS,
            "pipecat_dd.DatadogObserver()",
            lambda p, **o: make_worker(p, observers=[DatadogObserver()], **o),
            counter,
        ),
        Contender(
            METRICS,
            "… with metrics=True",
            lambda p, **o: make_worker(p, observers=[DatadogObserver(metrics=True)], **o),
            counter,
            without_metrics,
        ),
        Contender(
            EVERYTHING,
            "… with everything on",
            lambda p, **o: make_worker(p, observers=[DatadogObserver(**everything)], **o),
            counter,
            without_metrics,
        ),
    ]


def _opentelemetry() -> list[Contender]:
    counter = quiet.Counter()
    missing = None
    try:
        quiet.count_opentelemetry(counter)
    except ImportError:
        missing = "not installed: opentelemetry-sdk"
    return [
        _openinference(counter, missing),
        Contender(
            "pipecat_tracing",
            "Pipecat's own tracing",
            # It requires Pipecat's turn tracking, an observer that is on by default.
            lambda p, **o: make_worker(
                p, **{**o, "enable_tracing": True, "enable_turn_tracking": True}
            ),
            counter,
            missing,
        ),
    ]


def _openinference(counter: quiet.Counter, missing: str | None) -> Contender:
    try:
        from openinference.instrumentation.pipecat import PipecatInstrumentor
    except ImportError:
        missing = missing or "not installed: openinference-instrumentation-pipecat"
    if find_spec("pipecat.pipeline.worker") is None:
        missing = missing or "needs Pipecat 1.3"

    def build(pipeline: Pipeline, **options: Any) -> PipelineWorker:
        # It observes every worker that is created while it is on. Observe only this one.
        instrumentor = PipecatInstrumentor()
        instrumentor.instrument()
        try:
            return make_worker(pipeline, **options)
        finally:
            instrumentor.uninstrument()

    return Contender("openinference", "OpenInference's observer", build, counter, missing)
