"""Real bots that write a line in each place there is, and what those lines carry.

Run as a program it holds conversations, with one session and then with several at once, and
prints what came of each place as JSON. A process of its own for each run: how ddtrace patches
cannot be undone. ``python -m tests.support.anywhere --sessions 5 --patches before``
"""

import argparse
import asyncio
import gc
import json
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import ddtrace
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from websockets.asyncio.client import connect

from pipecat_dd.cli.demo.provider import Answer, CallTool, Delays, Provider, Say
from pipecat_dd.cli.demo.versions import (
    FunctionSchema,
    PipelineParams,
    PipelineWorker,
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
    ToolsSchema,
    WorkerRunner,
    split_sentences_offline,
)
from tests.support import places
from tests.support.bot import CHUNK_SECS, RATE, SILENCE, START_SECS, Watch
from tests.support.cartesia import CartesiaServer
from tests.support.cartesia_ears import CartesiaEars
from tests.support.places import Everywhere, Place, SdkThread
from tests.support.ports import free_server_port
from tests.support.verdict import Outcome, judge

QUICK = Delays(first_token_secs=0.02, token_secs=0.002)
PATIENCE_SECS = 90.0
STAGGER_SECS = 0.15


@dataclass
class Providers:
    """What the bots of a run talk to, and the thread that an SDK would have."""

    openai: Provider
    ears: CartesiaEars
    voice: CartesiaServer
    sdk: SdkThread


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Look the weather up, then tell it."""
    return Say("Fine.") if messages[-1]["role"] == "tool" else CallTool("look", {})


@asynccontextmanager
async def providers() -> AsyncIterator[Providers]:
    """Run them for a block."""
    async with (
        Provider(script, delays=QUICK) as openai,
        CartesiaEars("How is the weather?") as ears,
        CartesiaServer() as voice,
    ):
        sdk = SdkThread()
        try:
            yield Providers(openai, ears, voice, sdk)
        finally:
            sdk.close()


@dataclass
class Bot:
    """One bot, from the making of its observer to the end of its run.

    Attributes:
        mark: What its lines say of whose they are.
        names: The names of its worker and its runner, which their own lines begin with.
    """

    mark: str
    used: Providers
    observers: list[Any] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    names: dict[str, Place] = field(default_factory=dict)

    async def converse(self, together: asyncio.Barrier) -> None:
        """Hold a conversation of one question, while the others hold theirs.

        Args:
            together: Where the bots wait for one another.
        """
        port = free_server_port()
        transport = SingleClientWebsocketServerTransport(
            params=SingleClientWebsocketServerParams(
                serializer=ProtobufFrameSerializer(),
                audio_in_enabled=True,
                audio_out_enabled=True,
            ),
            host="127.0.0.1",
            port=port,
        )
        watch = Watch()
        worker = self._worker(transport, watch)
        started, connected = asyncio.Event(), asyncio.Event()

        async def on_pipeline_started(*_: object) -> None:
            places.write(self.mark, places.WORKER_EVENT)
            started.set()

        async def on_client_connected(*_: object) -> None:
            places.write(self.mark, places.TRANSPORT_EVENT)
            connected.set()

        worker.add_event_handler("on_pipeline_started", on_pipeline_started)
        transport.add_event_handler("on_client_connected", on_client_connected)
        runner = WorkerRunner(handle_sigint=False)
        self.names = {
            f"{worker.name}": places.WORKERS_OWN,
            f"{runner.name}": places.RUNNERS_OWN,
        }
        places.write(self.mark, places.BEFORE_RUN)
        await runner.add_workers(worker)
        user = asyncio.create_task(self._user(port, worker, watch, started, connected, together))
        await runner.run()
        await user
        places.write(self.mark, places.AFTER_RUN)

    def _worker(self, transport: Any, watch: Watch) -> Any:
        used = self.used
        ears = places.Ears(api_key="any", base_url=used.ears.url, sample_rate=RATE)
        voice = places.Voice(
            api_key="any",
            url=used.voice.url,
            settings=places.Voice.Settings(voice="any"),
        )
        ears.mark = voice.mark = self.mark
        llm = OpenAILLMService(
            api_key="any",
            base_url=used.openai.url,
            settings=OpenAILLMService.Settings(model="gpt-4.1"),
        )
        llm.register_function("look", places.tool(self.mark))
        schema = FunctionSchema(name="look", description="Look.", properties={}, required=[])
        pair = LLMContextAggregatorPair(
            LLMContext(tools=ToolsSchema(standard_tools=[schema])),
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=UserTurnStrategies(
                    stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
                )
            ),
        )
        everywhere = Everywhere(self.mark, used.sdk)
        everywhere.add_event_handler("on_notice", everywhere.on_notice)
        return PipelineWorker(
            Pipeline(
                [
                    transport.input(),
                    ears,
                    pair.user(),
                    llm,
                    everywhere,
                    voice,
                    transport.output(),
                    pair.assistant(),
                ]
            ),
            params=PipelineParams(
                enable_metrics=True, enable_usage_metrics=True, audio_in_sample_rate=RATE
            ),
            observers=[watch, *self.observers],
            **self.options,
        )

    async def _user(
        self,
        port: int,
        worker: Any,
        watch: Watch,
        started: asyncio.Event,
        connected: asyncio.Event,
        together: asyncio.Barrier,
    ) -> None:
        """Be somebody at the other end: connect, ask, listen, hang up."""
        try:
            async with asyncio.timeout(PATIENCE_SECS):
                await started.wait()
                async with connect(f"ws://127.0.0.1:{port}") as websocket:
                    hearing = asyncio.create_task(_hear(websocket))
                    await connected.wait()
                    # All are there at once, but on a busy machine fifty who ask in the same
                    # moment wait for longer than Pipecat waits for speech.
                    await asyncio.sleep(await together.wait() * STAGGER_SECS)
                    await _ask(worker)
                    await watch.until(
                        lambda: watch.count(BotStoppedSpeakingFrame) > 0, PATIENCE_SECS
                    )
                    if await together.wait() == 0:
                        # One of them finds what all of them have lost.
                        gc.collect()
                    await together.wait()
                    hearing.cancel()
        except BaseException:
            await together.abort()
            raise
        finally:
            await worker.cancel()


async def _ask(worker: Any) -> None:
    await worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=START_SECS))
    for _ in range(10):
        await worker.queue_frame(InputAudioRawFrame(SILENCE, RATE, 1))
        await asyncio.sleep(CHUNK_SECS)
    await worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.01))


async def _hear(websocket: Any) -> None:
    async for _ in websocket:
        pass


async def hold(
    count: int, *, observe: bool = True, traced: bool = False
) -> tuple[list[Bot], dict[str, str]]:
    """Hold conversations, all at once.

    Args:
        count: How many.
        observe: Whether ours observes them.
        traced: Whether Pipecat's own tracing does.

    Returns:
        The bots, and the id of each one's session by its mark.
    """
    from pipecat_dd import DatadogObserver

    ids: dict[str, str] = {}
    together = asyncio.Barrier(count)
    async with AsyncExitStack() as stack:
        used = await stack.enter_async_context(providers())
        bots = [Bot(f"bot{number}", used) for number in range(count)]

        async def serve(bot: Bot) -> None:
            if traced:
                bot.options = {"enable_tracing": True, "conversation_id": bot.mark}
            if observe:
                observer = DatadogObserver()
                ids[bot.mark] = observer.session_id
                bot.observers.append(observer)
            await bot.converse(together)

        await asyncio.gather(*(asyncio.create_task(serve(bot)) for bot in bots))
    return bots, ids


def run(count: int) -> dict[str, Outcome]:
    """Hold conversations at once, observed and configured as in production, and judge them."""
    from pipecat_dd import configure_logging, unconfigure_logging
    from pipecat_dd.testing.span_capture import capture_spans

    lines: list[dict[str, Any]] = []
    spans: list[Any] = []
    configure_logging(
        lambda text: lines.append(json.loads(str(text))), level="DEBUG", levels={"ddtrace": "INFO"}
    )
    with capture_spans(spans.append):
        bots, ids = asyncio.run(hold(count))
    unconfigure_logging()
    return judge(bots, ids, lines, spans)


PATCHES = {"asyncio": True, "futures": True, "logging": True, "loguru": True}


def main() -> None:
    """Run as asked, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--patches", choices=["none", "before", "after"], default="none")
    args = parser.parse_args()
    split_sentences_offline()
    warnings.simplefilter("always")
    if args.patches == "before":
        ddtrace.patch(**PATCHES)
    if args.patches == "after":
        from pipecat_dd import DatadogObserver, configure_logging

        configure_logging(lambda text: None)
        DatadogObserver()
        ddtrace.patch(**PATCHES)
    outcomes = {count: run(count) for count in args.sessions}
    json.dump(
        {
            count: {name: asdict(outcome) for name, outcome in places_.items()}
            for count, places_ in outcomes.items()
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
