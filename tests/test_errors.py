"""An error names the argument or variable, shows its value in short, and says what is allowed.

Every argument of every public function gets every kind of wrong value here. Either it is taken,
or what is raised is readable; at run time, in the middle of a call, nothing is raised at all.
"""

import inspect
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

import pipecat_dd
import pipecat_dd.testing
from pipecat_dd import (
    DatadogObserver,
    Participant,
    Redactor,
    Session,
    Shipping,
    configure_logging,
    flush_shipping,
    unconfigure_logging,
)
from pipecat_dd.conversation.model import Phase
from pipecat_dd.export import notices
from pipecat_dd.export.shipping import lifecycle
from pipecat_dd.settings import notes, table
from pipecat_dd.settings.checks import MAX_SHOWN_CHARS
from pipecat_dd.settings.setting import Taker
from pipecat_dd.testing import Seen, SeenSession, SeenSpan, capture
from tests.support.intake import KEY

LONG = "x" * 100_000


class _Unwritable:
    def __repr__(self) -> str:
        raise RuntimeError("no text for this")


VALUES: dict[str, Any] = {
    "empty": "",
    "spaces": " \n",
    "long": LONG,
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "word": "nonsense",
    "bytes": b"\xff\xfe",
    "long bytes": b"y" * 100_000,
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "huge": 10**5000,
    "nan": float("nan"),
    "infinite": float("inf"),
    "true": True,
    "list": [1, None],
    "long list": list(range(10_000)),
    "mapping": {"a b": object()},
    "empty keys": {"": ""},
    "long mapping": {LONG: LONG},
    "nul mapping": {"a\0": "b\0"},
    "number for a name": {7: 7},
    "wrong level": {"DEBUG": 2, "x": "LOUD"},
    "object": object(),
    "class": int,
    "unwritable": _Unwritable(),
    "path of a directory": Path("/"),
    "path under a file": "/dev/null/x",
    "path of a user that is unknown": "~no-such-user/x",
    "regular expression": ["("],
    "path with a field": "x{nothing}y",
}

MAKERS: dict[str, Callable[..., Any]] = {
    "DatadogObserver": DatadogObserver,
    "configure_logging": lambda **given: configure_logging(**({"sink": io.StringIO()} | given)),
    "configure_logging to a file": lambda **given: configure_logging(**({"sink": FILE} | given)),
    "Shipping": lambda **given: configure_logging(
        io.StringIO(), ship=Shipping(**({"api_key": KEY, "url": "http://127.0.0.1:9"} | given))
    ),
    "Redactor": Redactor,
    "capture": lambda **given: _entered(capture(**given)),
    "Seen.session": lambda **given: _seen().session(**given),
    "SeenSession.named": lambda **given: _seen_session().named(**({"name": "n"} | given)),
    "SeenSession.one": lambda **given: _seen_session().one(**({"name": "n"} | given)),
    "SeenSession.saying": lambda **given: _seen_session().saying(**given),
    "SeenSession.span_of": lambda **given: _seen_session().span_of(**given),
}
"""What raises where something is wrong, before there is a call."""

SIGNATURES: dict[str, Any] = {
    "DatadogObserver": DatadogObserver,
    "configure_logging": configure_logging,
    "configure_logging to a file": configure_logging,
    "Shipping": Shipping,
    "Redactor": Redactor,
    "capture": capture,
    "Seen.session": Seen.session,
    "SeenSession.named": SeenSession.named,
    "SeenSession.one": SeenSession.one,
    "SeenSession.saying": SeenSession.saying,
    "SeenSession.span_of": SeenSession.span_of,
}
_OF_FILES = ("rotation", "retention", "compression")
ARGUMENTS = [
    (maker, argument)
    for maker, signature in SIGNATURES.items()
    for argument in inspect.signature(signature).parameters
    if argument != "self"
    and (maker != "configure_logging to a file" or argument in ("sink", *_OF_FILES))
]
SECRET = {("DatadogObserver", "phone_hash_key"), ("Shipping", "api_key"), ("Shipping", "url")}
"""Their values may be secrets, and no error shows them."""

AT_RUN_TIME: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "set_outcome": (Session.set_outcome, {"outcome": "booked"}),
    "set_tag": (Session.set_tag, {"name": "tier", "value": "gold", "turn": False}),
    "export_turn": (Session.export_turn, {"number": 1}),
    "bind_participant": (
        lambda session, **given: _entered(session.bind_participant(**given)),
        {"participant_id": "p-1"},
    ),
    "flush_shipping": (lambda session, **given: flush_shipping(**given), {"timeout_secs": 1}),
}
"""What a bot calls in the middle of a conversation, with what is right."""

FILE = Path("never")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Loguru makes files and directories of nearly any name.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "FILE", tmp_path / "bot.log")
    monkeypatch.setenv("DD_API_KEY", KEY)
    monkeypatch.setenv("PIPECAT_DD_SHIP_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(notes, "_reported", set())
    monkeypatch.setattr(notes, "_found", {})
    monkeypatch.setattr(notices, "_reported", set())
    yield
    lifecycle.use(None, finished=True)  # nothing takes its lines, so none are waited for
    unconfigure_logging()


def _entered(context: Any) -> None:
    with context:
        pass


def _seen() -> Seen:
    with capture() as seen, logger.contextualize(session_id="s-1"):
        logger.info("hello")
    return seen


def _seen_session() -> SeenSession:
    return _seen().session("s-1")


def test_every_public_function_and_its_arguments_are_tried_here() -> None:
    known = {name.partition(".")[0].partition(" ")[0] for name in SIGNATURES}
    without = {
        "Participant",  # is made by us
        "Session",
        "SeenSpan",
        "current_session",  # no arguments
        "datadog_format",  # called by Loguru
        "flush_shipping",  # AT_RUN_TIME
        "shipping_counts",
        "unconfigure_logging",
    }
    public = {name for name in pipecat_dd.__all__ if not name.startswith("__")}
    assert (public | set(pipecat_dd.testing.__all__)) == known | without
    for called in (
        pipecat_dd.current_session,
        pipecat_dd.shipping_counts,
        unconfigure_logging,
    ):
        assert not inspect.signature(called).parameters
    assert not _methods(Participant) | _methods(SeenSpan) - {"walk"}
    of_session = {"set_outcome", "set_tag", "export_turn", "bind_participant"}
    assert of_session == set(AT_RUN_TIME) - {"flush_shipping"}
    # What is ours stands beside them: a change of the model, called by our own code alone.
    assert of_session == _methods(Session) - {"enter_turn"}
    for name in of_session:
        taken = set(inspect.signature(getattr(Session, name)).parameters) - {"self"}
        assert taken == set(AT_RUN_TIME[name][1])


def _methods(kind: type) -> set[str]:
    return {
        name
        for name, value in vars(kind).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }


@pytest.mark.parametrize(("maker", "argument"), ARGUMENTS, ids=lambda one: one)
def test_a_wrong_argument_is_an_error_that_says_all_or_is_taken(maker: str, argument: str) -> None:
    for kind, value in VALUES.items():
        if argument == "sink" and (kind in ("word", "class")):
            continue  # right
        if argument in _OF_FILES and kind == "class":
            continue  # a function
        try:
            MAKERS[maker](**{argument: value})
        except (TypeError, ValueError, LookupError) as error:
            with _named(kind):
                _is_readable(error, argument, value, is_secret=(maker, argument) in SECRET)


@contextmanager
def _named(kind: str) -> Iterator[None]:
    """Have a failure say for which value."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{kind}: {error}") from error


def _is_readable(error: Exception, name: str, value: Any, *, is_secret: bool) -> None:
    message = str(error)
    assert message.startswith((f"{name}=", f"{name}:", f"{name}[", f"name='n', {name}=")), message
    assert "must " in message or "only allowed" in message or "reserved" in message, message
    first, *_ = message.splitlines()
    # The value is cut: what remains is for what is allowed.
    assert len(first) < 900, message[:2000]
    first.encode()  # on any terminal of today's
    assert first.isprintable()
    if is_secret:
        assert not isinstance(value, str) or not value.strip() or value not in message
    elif isinstance(value, (str, bytes)) and name != "spool_dir":  # that is an absolute path
        assert repr(value[:MAX_SHOWN_CHARS])[:-1] in message, message
        if len(value) > MAX_SHOWN_CHARS:
            assert f"({len(value)} " in message
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**9):
        assert repr(value) in message


KEYS: dict[str, str] = {
    "datadog": KEY,
    "deepgram": KEY + "01234567",
    "openai": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789-_ABC",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize(("maker", "argument"), ARGUMENTS, ids=lambda one: one)
def test_no_error_shows_a_key_that_was_given_in_the_wrong_place(
    maker: str, argument: str, key: str
) -> None:
    if maker == "Seen.session" or argument == "sink":
        return  # an id, which looks the same; a name of a file like any other
    if maker == "configure_logging to a file":
        return  # Loguru's expressions for times take hours over so many digits and letters
    found: list[str] = []
    for value in (key, [key], {"api_key": key}, {"DEBUG": key}, key.encode(), key * 20):
        try:
            MAKERS[maker](**{argument: value})
        except (TypeError, ValueError, LookupError) as error:
            found.append(str(error))
    assert not [message for message in found if key in message]


def test_an_id_that_looks_like_a_key_is_shown_where_a_test_looks_for_a_session() -> None:
    with pytest.raises(LookupError, match=f"session_id='{KEY}': must be the id of .*: 's-1'"):
        _seen().session(KEY)


@pytest.mark.parametrize("phase", [Phase.MADE, Phase.ENDED])
@pytest.mark.parametrize(
    ("method", "argument"),
    [(method, argument) for method, (_, right) in AT_RUN_TIME.items() for argument in right],
)
def test_at_run_time_a_wrong_argument_is_at_most_one_line(
    method: str, argument: str, phase: Phase
) -> None:
    session = DatadogObserver().session
    session.phase = phase
    call, right = AT_RUN_TIME[method]
    for kind, value in VALUES.items():
        notices._reported.clear()
        with _named(kind), _warnings() as ours:
            for _ in range(2):
                call(session, **(right | {argument: value}))
        assert not [line for line in ours if "the bot is not affected" in line], (kind, ours)
        assert len(set(ours)) <= 1, (kind, ours)
        for line in ours:
            assert line.startswith(f"pipecat_dd: {method}: "), (kind, line)
            assert any(word in line for word in ("must ", "reserved", "session has ended")), line
            assert len(line) < 400


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what we write at WARNING or above."""
    lines: list[str] = []
    handler_id = logger.add(
        lines.append,
        level="WARNING",
        format="{message}",
        filter=lambda record: record["message"].startswith("pipecat_dd: "),
    )
    try:
        yield lines
    finally:
        logger.remove(handler_id)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"level": ""}, "level='': must be the name of a level: TRACE, DEBUG, INFO"),
        ({"sink": ""}, "sink='': must be the path of a file that can be written"),
        ({"sink": "/"}, "sink='/': must be the path of a file that can be written: Is a directory"),
        ({"sink": "/dev/null/a/b.log"}, "that can be written: Not a directory"),
        ({"sink": "/proc/nothing/b.log"}, "that can be written: No such file or directory"),
        ({"sink": 7}, "sink=7: must be a stream, the path of a file, a function"),
        ({"sink": "{x}.log"}, "sink='{x}.log': must be the path of a file .*{time}"),
        ({"sink": "a.log", "rotation": "soon"}, "rotation='soon': must be a size or time"),
        ({"sink": "a.log", "retention": "soon"}, "retention='soon': must be a number of files"),
        ({"sink": "a.log", "compression": "soon"}, "compression='soon': must be a format"),
    ],
)
def test_what_configure_logging_refuses_and_nothing_has_changed(
    argument: dict[str, Any], sentence: str
) -> None:
    before = repr(logger)
    with pytest.raises((TypeError, ValueError), match=sentence):
        configure_logging(**argument)
    assert repr(logger) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be less")
def test_a_sink_without_permission_is_an_error_that_says_so(tmp_path: Path) -> None:
    program = (
        "import os, sys; sys.path[:0] = sys.argv[1].split(os.pathsep)\n"
        "from pipecat_dd import configure_logging\n"
        "os.setuid(65534)\n"
        "try: configure_logging('/root-only/bot.log' if len(sys.argv) < 3 else sys.argv[2])\n"
        "except ValueError as error: print(error)\n"
    )
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", program, os.pathsep.join(sys.path), str(closed / "bot.log")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1].endswith(
        "must be the path of a file that can be written: Permission denied"
    ), done.stderr


def test_an_id_that_is_too_long_is_not_echoed_whole() -> None:
    with pytest.raises(ValueError, match=r"^session_id='x{100}'… \(100000 characters\): must be 1"):
        DatadogObserver(session_id=LONG)


def test_a_directory_of_a_sink_that_does_not_exist_is_made(tmp_path: Path) -> None:
    configure_logging(tmp_path / "new" / "bot.log")
    logger.info("hello")
    assert "hello" in (tmp_path / "new" / "bot.log").read_text()


WRONG_TEXTS = {
    "long": LONG,
    "surrogate": "a\udcffb",
    "word": "nonsense",
    "spaces": "a b c",
    "minus": "-1",
    "nan": "nan",
    "big": "1e400",
    "colon": ":",
    "user": "~no-such-user/x",
}


@pytest.mark.parametrize("value", WRONG_TEXTS.values(), ids=WRONG_TEXTS)
@pytest.mark.parametrize("name", sorted(table.VARIABLES))
def test_a_wrong_variable_is_one_line_that_says_all_and_raises_nothing(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if table.VARIABLES[name].taker is Taker.SHIPPING:
        monkeypatch.setenv("PIPECAT_DD_SHIP", "true")
    monkeypatch.setenv(name, value)
    with _warnings() as ours:
        configure_logging(io.StringIO())
        DatadogObserver()
    assert len(ours) <= 1, ours
    for line in ours:
        assert name in line
        assert "must " in line
        assert line.rstrip().endswith(("the default is used", "not shipped", "wait in memory")), (
            line
        )
        assert len(line) < 900
        if name == "PIPECAT_DD_SHIP_SPOOL_DIR":  # shown as an absolute path
            continue
        if name in ("PIPECAT_DD_PHONE_HASH_KEY", "PIPECAT_DD_SHIP_URL", "DD_API_KEY"):
            assert value[:MAX_SHOWN_CHARS] not in line or len(value) < 4
        else:
            assert repr(value[:MAX_SHOWN_CHARS])[:-1] in line


@pytest.mark.parametrize("name", sorted(table.VARIABLES))
def test_no_line_shows_a_key_that_is_in_the_wrong_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "fedcba9876543210fedcba9876543210"  # is that of no handler
    if table.VARIABLES[name].taker is Taker.SHIPPING:
        monkeypatch.setenv("PIPECAT_DD_SHIP", "true")
    monkeypatch.setenv(name, key)
    with _warnings() as ours:
        configure_logging(io.StringIO())
        DatadogObserver()
    assert not [line for line in ours if key in line]
