"""Secrets and telephone numbers do not leave; ids do, and numbers that only look alike."""

import time
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import Redactor
from pipecat_dd.export.redaction import Secrecy
from tests.export.logs.conftest import Lines

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("sent BEARER abcdef.123456-7", "abcdef.123456-7"),
        ("using sk-proj-abcdefghijklmnop", "abcdefghijklmnop"),
        ("using sk_live_abcdefghijklmnop", "abcdefghijklmnop"),
        ("key=sk-abcdefghijklmnop.", "abcdefghijklmnop"),
        ("aws AKIAIOSFODNN7EXAMPLE here", "IOSFODNN7"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "wJalrXUtnFEMI"),
        (f"token {JWT}", "eyJzdWIi"),
        (f"x{JWT}", "eyJzdWIi"),
        (JWT[:40], "hbGciOiJIUzI1NiJ9"),
        ("wss://user:hunter2@host/path", "hunter2"),
        ("postgres://u:p@ss@host:5432/db", "p@ss"),
        ("https://ghp_token@github.com", "ghp_token"),
        ("password=hunter2, next", "hunter2"),
        ("{'password': 'my hunter2 word', 'a': 1}", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ('{\\"api_key\\": \\"hunter2\\"}', "hunter2"),
        ("Config(api_key='hunter2', model='x')", "hunter2"),
        ("OPENAI_API_KEY=hunter2", "hunter2"),
        ("access_token=hunter2&x=1", "hunter2"),
        ("Cookie: session=hunter2; other=hunter2", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----", "hunter2"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "hunter2"),
        ("ghp_abcdefghijklmnop1234", "abcdefghijklmnop"),
        ("xoxb-1234567890-abcdef", "1234567890"),
        ("{'secrets': ['hunter1', 'hunter2']}", "hunter2"),
        ("credentials={'user': 'bo', 'pw': 'hunter2'}, x", "hunter2"),
        ("password=b'hunter2'", "hunter2"),
        ("[(b'x-api-key', b'hunter2'), (b'a', b'b')]", "hunter2"),
        ("('Authorization', 'Token hunter2')", "hunter2"),
    ],
)
def test_a_secret_in_text_is_redacted(text: str, secret: str) -> None:
    redacted = Redactor().text(text)
    assert secret not in redacted
    assert "[redacted]" in redacted
    assert Redactor().text(redacted) == redacted, "redacting twice changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "time to first token: 0.35s",
        "tokens: 12, total_tokens=512",
        "bearer token is missing",
        "the task-force went to the disk-based store",
        "https://example.com/a@b?c=d:e@f",
        "Linking PipelineSource#0 -> FastAPIWebsocketInputTransport#0",
        "at 2025-09-10 16:30:45.123+02:00 in room 12345",
        "span 9876543210987654321 trace 68c1a2b300000000a1b2c3d4e5f60718",
        "id 123e4567-e89b-12d3-a456-426614174000",
        "epoch 1757520000 and 1757520000.123",
        "from 192.168.100.200:8080",
        "took 2500000000 ns, 0.4155550123 of it",
        "password reset requested",
        "the secretary: Ann",
    ],
)
def test_what_only_looks_like_a_secret_is_kept(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "number",
    [
        "+14155550123", "+1 415 555 0123", "+1 (415) 555-0123", "+44 20 7946 0958",
        "+49-30-901820", "(415) 555-0123", "415-555-0123", "415.555.0123", "1-415-555-0123",
        "4155550123", "%2B14155550123", "%2b4930901820",
    ],
)  # fmt: skip
def test_telephone_numbers_are_masked_unless_told_otherwise(number: str) -> None:
    text = f"call from {number}, ringing"
    assert Redactor().text(text) == "call from [phone], ringing"
    assert Redactor(phone_numbers=False).text(text) == text


def test_email_addresses_are_masked_if_asked() -> None:
    text = "write to maria.o'x+1@mail.example.org now"
    assert Redactor().text(text) == text
    assert "maria" in text
    assert "mail.example.org" not in Redactor(email_addresses=True).text(text)


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWD", "db_password", "userPassword", "secret", "client-secret", "api_key",
        "apiKey", "X-Api-Key", "OPENAI_API_KEY", "authorization", "Cookie", "set-cookie",
        "private_key", "credentials", "token", "access_token", "accessToken", "HF_TOKEN",
    ],
)  # fmt: skip
def test_the_value_of_a_name_that_names_a_secret_is_redacted_at_any_depth(
    lines: Lines, name: str
) -> None:
    logger.bind(**{name: "hunter2", "a": {"b": [{name: "hunter2"}]}}).info("hello")
    assert "hunter2" not in lines.text
    line = lines.one
    assert line[name] == "[redacted]"
    assert line["a"]["b"][0][name] == "[redacted]"


def test_secrets_of_any_type_are_redacted(lines: Lines) -> None:
    logger.bind(
        password=1234, token=987654, tokens=["hunter2"], secret={"a": "hunter2"},
        api_key=b"hunter2", auth_tokens={"a": "hunter2"},
    ).info("hello")  # fmt: skip
    assert not {"hunter2", "1234", "987654"} & set(lines.text.replace('"', " ").split())
    assert "hunter2" not in lines.text


def test_counts_of_tokens_are_numbers(lines: Lines) -> None:
    logger.bind(prompt_tokens=12, tokens={"completion": 7}, time_to_first_token=0.4).info("done")
    line = lines.one
    assert (line["prompt_tokens"], line["tokens"]) == (12, {"completion": 7})
    assert line["time_to_first_token"] == 0.4


def test_ids_stay_though_they_look_like_telephone_numbers(lines: Lines) -> None:
    logger.bind(
        session_id="4155550123", participant_id="+14155550123", user_id="415-555-0123"
    ).info("hello")
    line = lines.one
    assert line["session_id"] == "4155550123"
    assert line["participant_id"] == line["participant"]["id"] == "+14155550123"
    assert line["user_id"] == "415-555-0123"


def test_a_number_under_a_telephones_name_is_masked(lines: Lines) -> None:
    logger.bind(phone=4155550123, caller_number="020 7946 0958", phones=2).info("hello")
    line = lines.one
    assert (line["phone"], line["caller_number"], line["phones"]) == ("[phone]", "[phone]", 2)


def test_secrets_and_numbers_as_keys_are_redacted(lines: Lines) -> None:
    logger.bind(calls={"+14155550123": 1, "sk-abcdefghijklmnop": 2}).info("hello")
    assert lines.one["calls"] == {"[phone]": 1, "[redacted]": 2}


def test_the_users_patterns_names_and_callback(configured: Any) -> None:
    seen = []

    def callback(name: str | None, text: str) -> str:
        seen.append(name)
        return text.replace("Maria", "M.")

    lines = configured(redact=Redactor(keys=["^ssn$"], patterns=[r"ORD-\d{6}"], callback=callback))
    logger.bind(ssn="078-05-1120", who="Maria").info("Maria ordered ORD-123456")
    line = lines.one
    assert line["message"] == "M. ordered [redacted]"
    assert (line["ssn"], line["who"]) == ("[redacted]", "M.")
    assert {None, "who"} <= set(seen)


def test_a_callback_that_fails_hides_the_text(configured: Any) -> None:
    def callback(name: str | None, text: str) -> str:
        raise RuntimeError(text)

    lines = configured(redact=Redactor(callback=callback))
    logger.bind(a="hunter2").info("hunter2")
    assert "hunter2" not in lines.text
    assert (lines.one["message"], lines.one["a"]) == ("[redacted]", "[redacted]")
    assert "logging_error" not in lines.one


def test_a_secret_that_is_bound_by_its_name_is_hidden_in_the_message_too(configured: Any) -> None:
    lines = configured()
    logger.info("in as {user} with {password}", user="Bo", password="correct horse")
    logger.bind(auth_token="staple").info("token staple, status {status}", status="ok")
    logger.bind(password="a").info("a cat")
    first, second, third = lines.all
    assert first["message"] == "in as Bo with [redacted]"
    assert second["message"] == "token [redacted], status ok"
    assert third["message"] == "a cat"
    assert "horse" not in lines.text


def test_redaction_can_be_turned_off(configured: Any) -> None:
    lines = configured(redact=False)
    logger.bind(password="hunter2").info("hunter2 sk-abcdefghijklmnop +14155550123")
    assert lines.one["password"] == "hunter2"
    assert lines.one["message"] == "hunter2 sk-abcdefghijklmnop +14155550123"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"patterns": ["("]}, ValueError, r"patterns: '\('"),
        ({"keys": ["["]}, ValueError, r"keys: '\['"),
        ({"patterns": "abc"}, TypeError, "patterns='abc'"),
        ({"patterns": [1]}, TypeError, "patterns: 1"),
        ({"keys": 3}, TypeError, "keys=3"),
        ({"callback": 3}, TypeError, "callback=3"),
        ({"phone_numbers": "yes"}, TypeError, "phone_numbers='yes'"),
    ],
)
def test_a_bad_rule_is_refused_when_it_is_given(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Redactor(**arguments)


HOSTILE = [
    "a", "eyJ", "sk-", "sk-a", "://", "://a:", "a@", "@", "+1", "+1 ", "1", "12-", "1(", "415-555-",
    "password", "password=", 'password="', "password='", "password=\\", "password ", "token",
    "token=", "token=1", "token: ", "bearer ", "bearer auth", "cookie", "cookie: ", "api key ",
    "api_key" + "-" * 39, "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "AKIA", "AKIA1", "ghp_",
    "a.", "a-", "a1.", " ", "\\", '"', "=", ":", "https://a:b@",
    "eyJa.eyJa.", "secret" + "_" * 40, "authorization: bearer ", "x@y.", "\u0660",
    "%2B1", "%2B", "%2B1 ", "secret=[", "secret={", "password=(", "('token", "(b'" + "token" * 7,
    "('api-key', '", "password=b",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_grows_with_the_length_of_hostile_text_and_no_faster(piece: str) -> None:
    redactor = Redactor(email_addresses=True)

    def seconds(length: int) -> float:
        text = (piece * length)[:length] + "!"
        times = []
        for _ in range(3):
            begun = time.process_time()
            redactor.text(text)
            times.append(time.process_time() - begun)
        return min(times)

    seconds(1000)
    small, large = seconds(25_000), seconds(100_000)
    # Four times the text; quadratic work would take sixteen times the time.
    assert large < 9 * small + 0.005, f"{small:.4f}s, then {large:.4f}s"
    assert large < 2


def test_a_redactor_of_ones_own_is_asked_for_each_text_and_name(configured: Any) -> None:
    class Mine(Redactor):
        def text(self, text: str, name: str | None = None) -> str:
            return super().text(text, name).replace("Bob", "[name]")

        def secrecy(self, name: str) -> Secrecy:
            return Secrecy.SECRET if name.startswith("pii_") else super().secrecy(name)

    lines = configured(redact=Mine())
    logger.bind(who="Bob", pii_street="Elm", nested={"pii_city": "Rome"}).info("hello Bob")
    line = lines.one
    assert (line["message"], line["who"]) == ("hello [name]", "[name]")
    assert line["pii_street"] == line["nested"]["pii_city"] == "[redacted]"
