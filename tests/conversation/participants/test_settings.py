"""What can be said about participants when the observer is made."""

import pytest
from pipecat.transports.base_transport import BaseTransport

from pipecat_dd import DatadogObserver
from pipecat_dd.settings import Settings
from tests.conversation.participants.daily import BOB, DailyRoom
from tests.conversation.participants.running import Listener, bot_on
from tests.support.agent import TestAgent


@pytest.mark.parametrize(
    ("argument", "value", "error", "says"),
    [
        ("transport", "daily", TypeError, "must be a transport of Pipecat's"),
        ("transport", [object()], TypeError, "must be a transport of Pipecat's"),
        ("participant_names", "yes", TypeError, "must be True or False"),
        ("phone_hash_key", 5, TypeError, "must be a string or bytes, not int"),
        ("phone_hash_key", "too short", ValueError, "at least 16 bytes"),
    ],
)
def test_what_is_not_allowed_is_said(
    argument: str, value: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as raised:
        Settings.read(**{argument: value})
    assert argument in str(raised.value)
    if argument == "phone_hash_key":
        assert str(value) not in str(raised.value), "it is a secret"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPECAT_DD_PARTICIPANT_NAMES", "false")
    monkeypatch.setenv("PIPECAT_DD_PHONE_HASH_KEY", "a key of sixteen bytes")
    settings = Settings.read()
    assert settings.participant_names is False
    assert settings.phone_hash_key == b"a key of sixteen bytes"
    assert Settings.read(participant_names=True, phone_hash_key=b"0" * 16).participant_names


def test_nothing_said_is_names_and_no_key() -> None:
    settings = Settings.read()
    assert (settings.transports, settings.participant_names) == ((), True)
    assert settings.phone_hash_key is None


async def test_a_transport_that_the_pipeline_does_not_lead_to_is_given(agent: TestAgent) -> None:
    room = DailyRoom()
    transport: BaseTransport = room.transport
    for processor in (transport.input(), transport.output()):
        del processor._transport

        # What Pipecat itself needs of it when it cleans up.
        class Transport:
            async def cleanup(self) -> None:
                pass

        processor._transport = Transport()
        processor._client = _Hiding(processor._client)
    observer = DatadogObserver(transport=transport)
    async with bot_on(transport, observer, processors=[Listener()]):
        await room.joined()
        await room.happens(("on_participant_joined", BOB))
    assert agent.session(observer.session_id).one("pipecat.participant")


class _Hiding:
    """A client that does not lead to its transport."""

    def __init__(self, client: object) -> None:
        self._hidden = client

    def __getattr__(self, name: str) -> object:
        if name in ("_callbacks", "_hidden"):
            raise AttributeError(name)
        return getattr(self._hidden, name)
