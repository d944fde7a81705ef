"""A room of Daily's in the bot's process, and what its participant does there."""

import json
from contextlib import ExitStack

from pipecat_dd.cli.demo import voice
from tests.support.daily_room import Participant, Room

_open = ExitStack()  # for as long as the process runs


def open_room(script: str) -> None:
    """Have the bot find a room with a participant in it.

    Args:
        script: JSON: what the participant says, one text after each time that the bot has spoken.
    """
    says = json.loads(script)

    def call(participant: Participant) -> None:
        participant.joins()
        for text in says:
            participant.listens()
            participant.says(voice.user_says(text))
        participant.listens()

    _open.enter_context(Room(call).open())
