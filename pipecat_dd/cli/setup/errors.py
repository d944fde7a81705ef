"""The errors of this command. Their messages are for its users."""

UNEXPECTED_ANSWER = (KeyError, TypeError, AttributeError)
"""The exceptions that parsing raises if an answer differs from Datadog's documentation."""


class SetupError(Exception):
    """Something could not be done."""


class KeysRejectedError(SetupError):
    """The keys are missing, or Datadog rejects them. All further requests would fail."""


class UnreachableError(SetupError):
    """Datadog cannot be reached now, because of its rate limit or the network."""


class ForbiddenError(SetupError):
    """The application key lacks a permission."""


class NotFoundError(SetupError):
    """The object does not exist."""


class RejectedError(SetupError):
    """Datadog rejected the request, or failed to process it."""


class IncompleteError(SetupError):
    """An object was created, but its mark could not be completed. The next run completes it.

    Args:
        cause: The error that prevented it.
    """

    def __init__(self, cause: SetupError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class UnknownMetricError(RejectedError):
    """Datadog has not received this metric yet, so it cannot be configured."""
