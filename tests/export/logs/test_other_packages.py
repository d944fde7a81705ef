"""What packages for Pipecat log of what was said stays out of lines; the user's own lines stay."""

import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import other_packages, pipecat_lines
from tests.export.logs.conftest import KNOWN, Lines

CANARY = "I live at 12 Elm Street"

# As pipecat-tts-cache 1.0.1, pipecat-backchannel 0.3.3 and pipecat-ai-flows 1.4.0 have them, and
# what others are likely to.
HOLD_CONTENT = [
    "Cache hit: '{}' (3 chunks)",
    "Cache miss: '{}'",
    "Empty audio slice for '{}', skipping",
    "Cached: '{}' (960 bytes)",
    "Error caching '{}': no space",
    "Backchannel: firing '{}'",
    "Backchannel: picked '{}' (group='affirm')",
    "Backchannel clip '{}' has no audio in the library — nothing played. ",
    "Backchannel: no audio came back from the TTS for '{}'. ",
    "Added conversation summary to context: {}",
    "OwnSTTService#0: Transcription: [{}]",
    "OwnTTSService#0: Generating TTS [{}]",
    "final transcript: {}",
    "transcript={}",
    "User said: {}",
    "Received message from server: {{'text': '{}'}}",
    'Received: {{"text": "{}"}}',
    "Response from LLM -> {}",
    "[OwnSTT] interim result: {}",
    "Speaking “{}”",
    "llm output (1): {}",
    "DTMF {}",
]
HOLD_NONE = [
    "Initialized RedisCacheBackend: prefix=tts",
    "TTS caching enabled: backend=Redis, ttl=5s, namespace=default",
    "Redis connection failed: Connection refused",
    "Backchannel: skip, too soon after turn started",
    "Backchannel: pause classified INCOMPLETE",
    "Cleared 12 cache entries",
    "Word count mismatch for context (expected 3, got 4), cannot split reliably, skipping cache",
    "[OwnSTT] connected in 0.3 s, it's ready",
]


@pytest.mark.parametrize("template", HOLD_CONTENT)
def test_content_is_masked(template: str) -> None:
    masked = other_packages.mask(template.format(CANARY))
    assert "Elm" not in masked
    assert "12" not in masked
    assert masked.endswith("[redacted]")


@pytest.mark.parametrize("message", HOLD_NONE)
def test_what_holds_none_is_kept(message: str) -> None:
    assert other_packages.mask(message) == message


def test_masking_takes_linear_time() -> None:
    import time

    for piece in ("text ", "text (", "user ", "a.b ", "[A", "[A.", "'"):
        begun = time.process_time()
        other_packages.mask("x" + piece * (200_000 // len(piece)))
        assert time.process_time() - begun < 1


SAYS = """
import logging
from loguru import logger
{imports}
def say(words):
    logger.debug(f"Cache hit: '{{words}}'")
def say_by_logging(words):
    logging.getLogger(__name__).warning("Cache hit: '%s'", words)
"""
USES_PIPECAT = "from pipecat.frames.frames import Frame"

Package = Callable[..., Any]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Makes a package, or a module of one file, and returns the module of it that logs."""
    monkeypatch.setattr(pipecat_lines, "_others", {})
    made: list[str] = []

    def make(name: str, *, place: str, imports: str = USES_PIPECAT, url: str = "") -> Any:
        root = tmp_path / place
        file = root / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SAYS.format(imports=imports))
        top = name.partition(".")[0]
        if top != name:
            (root / top / "__init__.py").touch()
        info = root / f"{top}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "RECORD").write_text(f"{file.relative_to(root)},sha256=x,1\n")
        if url:
            (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {}}))
        monkeypatch.syspath_prepend(str(root))
        made.extend((name, top))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)
    other_packages._local_packages.cache_clear()


INSTALLED = "lib/python3.12/site-packages"
ORIGIN = "file:///home/maria/pipecat_bot"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pipecat_tts_cache.mixin", {"place": INSTALLED}),
        ("pipecat_own_stt", {"place": INSTALLED, "imports": ""}),
        ("pipecat_debian.stt", {"place": "usr/lib/python3/dist-packages"}),
        ("own_avatar.video", {"place": INSTALLED}),
        ("own_avatar.video", {"place": INSTALLED, "imports": "import pipecat.frames.frames as f"}),
        # From somebody's repository, which is not one's own directory.
        ("pipecat_git.stt", {"place": INSTALLED, "url": "https://github.com/somebody/pipecat-git"}),
    ],
)
def test_a_package_for_pipecat_is_masked_unless_content_is_captured(
    name: str, options: dict[str, Any], package: Package, configured: Any, known: Any
) -> None:
    lines = configured(level="DEBUG")
    module = package(name, **options)
    for say in (module.say, module.say_by_logging):
        known(KNOWN)
        say(CANARY)
        known(KNOWN._replace(content_captured=True))
        say(CANARY)
    said = [line["message"] for line in lines.all]
    assert said == ["Cache hit: [redacted]", f"Cache hit: '{CANARY}'"] * 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pipecat_bot", {"place": "home/maria/bot"}),
        ("pipecat_bot.handlers", {"place": "home/maria/bot"}),
        ("bot", {"place": "home/maria/bot"}),
        # Installed from one's own directory, as `pip install .` in an image does.
        ("pipecat_bot.handlers", {"place": INSTALLED, "url": ORIGIN}),
        ("pipecat_bot_of_one_file", {"place": INSTALLED, "url": ORIGIN}),
        ("shop.bot", {"place": INSTALLED, "url": ORIGIN}),
        # Installed, and nothing to do with Pipecat.
        ("some_library.cache", {"place": INSTALLED, "imports": "import json"}),
    ],
)
def test_the_users_own_lines_and_other_libraries_are_left_alone(
    name: str, options: dict[str, Any], package: Package, configured: Any, known: Any
) -> None:
    lines = configured(level="DEBUG")
    module = package(name, **options)
    module.say(CANARY)
    module.say_by_logging(CANARY)
    assert [line["message"] for line in lines.all] == [f"Cache hit: '{CANARY}'"] * 2


def test_a_logger_named_as_such_a_packages_module_is_one(lines: Lines) -> None:
    logger.patch(lambda record: record.update(name="pipecat_tts_cache.mixin")).info(
        "Cache miss: '{}'", CANARY
    )
    assert lines.one["message"] == "Cache miss: [redacted]"


def test_so_it_is_on_the_console(package: Package, configured: Any) -> None:
    lines = configured(level="DEBUG", format="console")
    package("pipecat_tts_cache.mixin", place=INSTALLED).say(CANARY)
    assert "Cache hit: [redacted]" in lines.text
    assert CANARY not in lines.text


def test_modules_whose_values_answer_anyhow_do_no_harm(package: Package, configured: Any) -> None:
    odd = """
class Odd:
    def __getattr__(self, name): raise RuntimeError(name)
    @property
    def __class__(self): raise RuntimeError("class")
odd = Odd()
"""
    lines = configured(level="DEBUG")
    package("odd_library.x", place=INSTALLED, imports=odd).say(CANARY)
    assert lines.one["message"] == f"Cache hit: '{CANARY}'"
    assert logging.getLogger("odd_library.x").name
