"""The demo's bot with the observer of a contender. ``python -m benchmarks talk`` runs it.

It differs from the bot of ``pipecat-dd demo`` only in its observer and its logging. At the end it
writes the CPU time of its conversation to a file.
"""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks import quiet


def main() -> None:
    """Read the command line of the demo's bot and run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--weather-url")
    parser.add_argument("--log-file", type=Path)
    args = parser.parse_args()
    chosen, result = os.environ["BENCHMARKS_CONTENDER"], os.environ["BENCHMARKS_RESULT"]
    quiet.prepare()

    from benchmarks.contenders import contenders
    from benchmarks.workload import DEFAULT
    from pipecat_dd.cli.demo import bot
    from pipecat_dd.cli.demo.versions import split_sentences_offline

    (contender,) = (one for one in contenders() if one.key == chosen)

    def worker(pipeline: Any, *, observers: Any, **options: Any) -> Any:
        # Pipecat's default worker: its turn tracking, RTVI and idle detection stay on.
        return contender.build(pipeline, **DEFAULT, **options)

    bot.PipelineWorker = worker  # type: ignore[assignment, misc]
    bot.DatadogObserver = lambda: None  # type: ignore[assignment, misc]
    split_sentences_offline()
    began_ns, began_at_ns = time.process_time_ns(), time.monotonic_ns()
    asyncio.run(bot.run_bot(args.host, args.port, args.weather_url))
    figures = {
        "cpu_secs": (time.process_time_ns() - began_ns) / 1e9,
        "secs": (time.monotonic_ns() - began_at_ns) / 1e9,
        "spans": contender.counter.take() if contender.counter is not None else 0,
    }
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
