"""Record the frames of a conversation, and recreate them for a pipeline.

``python -m benchmarks.recording`` runs the conversation of ``pipecat-dd demo`` and writes the class
of each frame in its pipeline to ``recorded.json``, in order. The recreated frames have the numbers
and the order of a real call, but artificial content.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from pipecat.frames import frames as f
from pipecat.processors.aggregators.llm_context import LLMContext

FILE = Path(__file__).parent / "recorded.json"
_REPOSITORY = Path(__file__).parent.parent
_NOT_SENT = ("StartFrame", "EndFrame", "StopFrame", "CancelFrame")
"""The frames that start and end a pipeline. The benchmark sends these itself."""
_CHUNK = bytes(2 * 16_000 * 20 // 1_000)
_VALUES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: _CHUNK,
    "str": lambda: "word ",
    "int": lambda: 1,
    "float": lambda: 0.2,
    "list": list,
    "dict": dict,
    "List": list,
    "Sequence": tuple,
    "LLMContext": LLMContext,
}
_KNOWN = {"sample_rate": 16_000, "num_channels": 1}


def makers() -> tuple[Callable[[], f.Frame], ...]:
    """Return a function for each frame of the conversation, in order, that creates the frame.

    Frames that do not exist in the installed version of Pipecat are left out.
    """
    return tuple(
        _maker(kind)
        for name, count in json.loads(FILE.read_text())
        if (kind := getattr(f, name, None)) is not None
        for _ in range(count)
    )


def _maker(kind: type[f.Frame]) -> Callable[[], f.Frame]:
    required = [
        field
        for field in dataclasses.fields(kind)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]

    def value(field: "dataclasses.Field[Any]") -> Any:
        hint = getattr(field.type, "__name__", None) or str(field.type)
        name = hint.partition("[")[0].partition(" |")[0]
        return _KNOWN.get(field.name) or _VALUES.get(name, lambda: None)()

    return lambda: kind(**{field.name: value(field) for field in required})


def record() -> None:
    """Run the conversation and record its frames.

    Raises:
        RuntimeError: The conversation could not be completed.
    """
    from pipecat_dd.cli.demo.run import converse

    path = os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as scratch:
        outcome = asyncio.run(
            converse(
                Path(scratch),
                lambda progress: None,
                bot_module="benchmarks.recording",
                bot_settings={"PYTHONPATH": path},
            )
        )
    if outcome.failure is not None:
        raise RuntimeError(outcome.failure)


def _run_recorded_bot() -> None:
    from pipecat.observers.base_observer import BaseObserver, FramePushed

    from pipecat_dd.cli.demo import bot
    from pipecat_dd.cli.demo.versions import split_sentences_offline

    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--weather-url")
    parser.add_argument("--log-file")
    args = parser.parse_args()
    names: list[str] = []

    class Recorder(BaseObserver):
        def __init__(self) -> None:
            super().__init__(observe_every_push=False)

        async def on_push_frame(self, data: FramePushed) -> None:
            names.append(type(data.frame).__name__)

    bot.DatadogObserver = Recorder  # type: ignore[assignment, misc]
    split_sentences_offline()
    asyncio.run(bot.run_bot(args.host, args.port, args.weather_url))
    sent = (name for name in names if name not in _NOT_SENT)
    runs = [json.dumps([name, len(list(run))]) for name, run in groupby(sent)]
    FILE.write_text("[\n" + ",\n".join(runs) + "\n]\n")


if __name__ == "__main__":
    if "--help" in sys.argv:
        print(__doc__)
    elif len(sys.argv) > 1:
        _run_recorded_bot()
    else:
        record()
