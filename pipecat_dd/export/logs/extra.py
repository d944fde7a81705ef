"""Sorts the values that were bound to a line by where they go in the line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pipecat_dd.export.logs.field_roles import FieldRole, role_of
from pipecat_dd.names import fields

MAX_ID_CHARS: Final = 200
_CACHED_NAMES: Final = 4096
_NOTHING: Final[dict[Any, Any]] = {}

_NO_SESSION: Final = "NONE"
"""What Pipecat Cloud's base image configures Loguru with, for lines of no session."""


@dataclass(slots=True)
class Extra:
    """The bound values of one line.

    Attributes:
        top: Values that go to the top level, under their own names.
        own: Values with the meaning of one of our fields, by the field's role.
        ddtrace: The ids and names that ddtrace's own patches add.
        moved: Values that go under ``extra``, since they would overwrite a field with another
            meaning.
    """

    top: Mapping[Any, Any] = field(default_factory=dict)
    own: dict[FieldRole, Any] = field(default_factory=dict)
    ddtrace: dict[str, str] = field(default_factory=dict)
    moved: dict[Any, Any] = field(default_factory=dict)


class ExtraSorter:
    """Sorts bound values. It caches the role of each name: programs bind few names, often."""

    __slots__ = ("_roles",)

    def __init__(self) -> None:
        self._roles: dict[str, FieldRole] = {}

    def sort(self, extra: Mapping[Any, Any]) -> Extra:
        """Return a record's ``extra``, sorted."""
        roles = self._roles
        if len(roles) > _CACHED_NAMES:  # a program may generate names without end
            roles.clear()
        only_top = True
        for key in extra:
            role = roles.get(key)
            if role is None:
                role = roles[key] = role_of(key if type(key) is str else str(key))
            if role is not FieldRole.TOP:
                only_top = False
        if only_top:
            return Extra(extra, _NOTHING, _NOTHING, _NOTHING)
        bound = Extra()
        top: dict[Any, Any] = {}
        for key, value in extra.items():
            role = roles[key]
            if role is FieldRole.TOP:
                top[key] = value
            elif role is FieldRole.EXTRA:
                bound.moved[key] = value
            elif value is not None:
                _add(bound, top, key, role, value)
        bound.top = top
        _unpack_bag(bound)
        return bound


def id_of(value: object) -> str | None:
    """Return a value as an id, or None if it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        return None
    try:
        text = str(value)
    except Exception:  # an integer with too many digits for Python, or a subclass of str
        return None
    return text if 0 < len(text) <= MAX_ID_CHARS else None


def _add(bound: Extra, top: dict[Any, Any], key: Any, role: FieldRole, value: Any) -> None:
    if role is FieldRole.CORRELATION:
        if isinstance(value, str):
            bound.ddtrace[key] = value
        return
    if role is FieldRole.ERROR_TYPE or role is FieldRole.ERROR_DETAILS:
        top[key] = value
    elif role is FieldRole.SESSION_ID or role is FieldRole.PARTICIPANT_ID:
        if (as_id := id_of(value)) is None:
            bound.moved[key] = value
            return
        # A session with a bound id strips it, too.
        value = as_id.strip() if role is FieldRole.SESSION_ID else as_id
        if role is FieldRole.SESSION_ID and value == _NO_SESSION:
            return
    elif (
        (role is FieldRole.FLOW_NODE and not isinstance(value, str))
        or (role is FieldRole.PARTICIPANT and not isinstance(value, Mapping))
        or (role is FieldRole.ERROR and not isinstance(value, (Mapping, BaseException)))
    ):
        bound.moved[key] = value
        return
    bound.own[role] = value


def _unpack_bag(bound: Extra) -> None:
    # logger.info("…", extra={…}) is a habit from the standard library's logging: its members
    # are used, unless one of them has the name of a moved value.
    bag = bound.own.pop(FieldRole.BAG, None)
    if bag is None:
        return
    if isinstance(bag, Mapping) and not any(key in bound.moved for key in bag):
        bound.moved = {**bag, **bound.moved}
    else:
        bound.moved[fields.EXTRA] = bag
