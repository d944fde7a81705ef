"""What can go wrong between here and Datadog, in words for whoever ran the command."""

UNEXPECTED = (KeyError, TypeError, AttributeError)
"""What an answer of another shape than Datadog documents makes of whoever reads it."""


class Refusal(Exception):  # noqa: N818  not all of them are errors of the program's
    """Something was not done. What it says is for people."""


class KeysRefused(Refusal):
    """The keys are missing, or Datadog does not take them. Nothing more can be done."""


class Unreachable(Refusal):
    """Datadog cannot be asked now: its rate limit, or the network. Nothing more can be done."""


class Forbidden(Refusal):
    """The application key may not do this."""


class NotThere(Refusal):
    """What was asked for is not there."""


class Rejected(Refusal):
    """Datadog did not take what was sent, or failed at it."""


class Incomplete(Refusal):
    """It was made, but its mark could not be completed; the next run does that.

    Args:
        cause: Why.
    """

    def __init__(self, cause: Refusal) -> None:
        super().__init__(str(cause))
        self.cause = cause


class NotYet(Rejected):
    """It cannot be made before something has been sent."""
