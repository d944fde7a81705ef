"""What callers and bots say stays out of Pipecat's own lines unless it is captured."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipecat
import pytest
from loguru import logger

from pipecat_dd.export.logs import pipecat_lines
from tests.export.logs.conftest import KNOWN, Lines

CANARY = "I live at 12 Elm Street"
LINES = [
    ("pipecat.services.deepgram.stt", "Transcription: [{}]"),
    ("pipecat.services.tts_service", "CartesiaTTSService#0: Generating TTS [{}]"),
    ("pipecat.services.openai.base_llm", "x#0: Generating chat from context [{{'content': '{}'}}]"),
    ("pipecat.services.openai.responses.llm", "x#0: Generating response from universal context {}"),
    ("pipecat.services.llm_service", "x Calling function [f:1] with arguments {{'a': '{}'}}"),
    ("pipecat.processors.frame_processor", "Pushing TranscriptionFrame#1(user: u, text: [{}]) on"),
    # Up to Pipecat 1.8, as the next two: later ones have other lines there.
    ("pipecat.utils.context.word_completion_tracker", "x: llm_consumed '{}' does not contain 'y'"),
    ("pipecat.services.llm_service", "x#0: System instruction composed: {}"),
    ("pipecat.services.cartesia.turns.stt", "Cartesia Ink-2 ASR turn.eager_end: {}"),
    (
        "pipecat.utils.context.aggregated_frame_sequencer",
        "x#0 Word '{}' not recognised by any slot",
    ),
    ("pipecat.serializers.vonage", "Received DTMF digit: {}"),
    ("pipecat.extensions.voicemail.voicemail_detector", "x: HUMAN (0.93) for '{}'"),
]


def write(name: str, message: str) -> None:
    logger.patch(lambda record: record.update(name=name)).debug("{}", message)


@pytest.mark.parametrize(("name", "template"), LINES)
def test_content_is_masked_unless_captured(
    lines: Lines, known: Any, name: str, template: str
) -> None:
    message = template.format(CANARY)
    write(name, message)
    known(KNOWN._replace(content_captured=True))
    write(name, message)
    masked, captured = lines.all
    assert CANARY not in str(masked)
    assert masked["message"].endswith("[redacted]")
    assert captured["message"] == message


@pytest.mark.parametrize("captured", [False, True])
def test_the_option_wins_over_the_session(configured: Any, known: Any, captured: bool) -> None:
    known(KNOWN._replace(content_captured=not captured))
    lines = configured(level="DEBUG", capture_content=captured)
    write(*[text.format(CANARY) for text in LINES[0]])
    assert (CANARY in lines.text) is captured


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bot", f"Transcription: [{CANARY}]"),
        ("pipecat_flows", f"Transcription: [{CANARY}]"),
        ("pipecat.pipeline.task", "Linking PipelineSource#0 -> Input#0"),
        ("pipecat.services.openai.base_llm", "OpenAILLMService#0: usage: 12 tokens"),
        ("pipecat.services.tts_service", "x cleaning up TTS context 1-2-3"),
    ],
)
def test_other_lines_are_kept(lines: Lines, name: str, message: str) -> None:
    write(name, message)
    assert lines.one["message"] == message


def test_masking_takes_linear_time() -> None:
    import time

    for piece in (": ", "[", "text", "Transcription", "a: b [c] "):
        message = piece * (200_000 // len(piece))
        begun = time.process_time()
        pipecat_lines.mask("pipecat.x", message)
        assert time.process_time() - begun < 1


# Names under which Pipecat keeps what was said.
CONTENT = re.compile(
    r"(?:^|[._])(?:text|texts|transcript|transcript_text|transcription|messages|prompt|arguments"
    r"|full_response|complete_sentence|word|raw_overflow_word|remaining_text|system_instruction|utterance|content|_streamed_text|_llm_consumed|_frame_word"
    r"|_user_transcription_buffer|text_clean|summary_message|tool_result_message)$"
    r"|get_messages_for_logging|messages_for_logging"
)
# Read and found to hold none: errors of a vendor's, counts, what the developer configured.
NO_CONTENT = re.compile(
    r"status: \{|Unable to handle dialin|API error|returned 500 error|Failed to terminate"
    r"|transcription error|Error (?:initiating|uploading|getting|listing|deleting) file"
    r"|Error listing files|: Context has |: Skipping "
)
METHODS = {"trace", "debug", "info", "success", "warning", "error", "critical", "exception"}


def prints_of_content() -> Iterator[tuple[str, int, str]]:
    """Find the log calls of the Pipecat that is installed that print something like content."""
    root = Path(pipecat.__file__).parent
    for path in sorted(root.rglob("*.py")):
        module = path.relative_to(root.parent).with_suffix("")
        if module.parts[1] in ("cli", "evals", "tests"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
                and "logger" in ast.unparse(node.func.value)
                and node.args
                and isinstance(node.args[0], ast.JoinedStr)
            ):
                continue
            message, has_content = "", False
            for part in node.args[0].values:
                if isinstance(part, ast.Constant):
                    message += str(part.value)
                elif isinstance(part, ast.FormattedValue):
                    source = ast.unparse(part.value)
                    is_content = bool(CONTENT.search(re.sub(r"\[[^]]*\]$|\(.*\)$", "", source)))
                    has_content |= is_content
                    message += CANARY if is_content else "Name#0"
            if has_content and not NO_CONTENT.search(message):
                yield ".".join(module.parts), node.lineno, message


def test_every_line_of_the_installed_pipecat_that_prints_content_is_masked() -> None:
    found = list(prints_of_content())
    assert len(found) > 30, "the search itself no longer finds Pipecat's lines"
    leaks = [
        f"{name}:{line} {message}"
        for name, line, message in found
        if CANARY in pipecat_lines.mask(name, message)
    ]
    assert not leaks, "\n".join(leaks)
