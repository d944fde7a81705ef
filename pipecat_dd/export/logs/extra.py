"""What the user bound to a line, sorted by where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pipecat_dd.export.logs.field_roles import FieldRole, role_of
from pipecat_dd.names import fields

MAX_ID_CHARS: Final = 200
_CACHED_NAMES: Final = 4096
_NOTHING: Final[dict[Any, Any]] = {}


@dataclass(slots=True)
class Extra:
    """The bound values of one line.

    Attributes:
        top: Those that stand at the top level, under their own names.
        own: Those that fill a field of ours, by field; each has that field's meaning.
        ddtrace: The ids and names that ddtrace's own patches add.
        moved: Those that would overwrite a field with another meaning: they go under
            ``extra``.
    """

    top: Mapping[Any, Any] = field(default_factory=dict)
    own: dict[FieldRole, Any] = field(default_factory=dict)
    ddtrace: dict[str, str] = field(default_factory=dict)
    moved: dict[Any, Any] = field(default_factory=dict)


class ExtraSorter:
    """Sorts bound values, remembering each name's place: programs bind few names, often."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[str, FieldRole] = {}

    def sort(self, extra: Mapping[Any, Any]) -> Extra:
        """Return a record's ``extra``, sorted."""
        places = self._places
        if len(places) > _CACHED_NAMES:  # names made up at run time must not pile up
            places.clear()
        plain = True
        for key in extra:
            place = places.get(key)
            if place is None:
                place = places[key] = role_of(key if type(key) is str else str(key))
            if place is not FieldRole.TOP:
                plain = False
        if plain:
            return Extra(extra, _NOTHING, _NOTHING, _NOTHING)
        bound = Extra()
        top: dict[Any, Any] = {}
        for key, value in extra.items():
            place = places[key]
            if place is FieldRole.TOP:
                top[key] = value
            elif place is FieldRole.EXTRA:
                bound.moved[key] = value
            elif value is not None:
                _place(bound, top, key, place, value)
        bound.top = top
        _unpack_bag(bound)
        return bound


def id_of(value: object) -> str | None:
    """Return a value as an id, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        return None
    try:
        text = str(value)
    except Exception:  # an integer of more digits than Python writes, a str of one's own
        return None
    return text if 0 < len(text) <= MAX_ID_CHARS else None


def _place(bound: Extra, top: dict[Any, Any], key: Any, place: FieldRole, value: Any) -> None:
    if place is FieldRole.CORRELATION:
        if isinstance(value, str):
            bound.ddtrace[key] = value
        return
    if place is FieldRole.ERROR_TYPE or place is FieldRole.ERROR_DETAILS:
        top[key] = value
    elif place is FieldRole.SESSION_ID or place is FieldRole.PARTICIPANT_ID:
        if (as_id := id_of(value)) is None:
            bound.moved[key] = value
            return
        # A session takes its id from what is bound here, without the space around it.
        value = as_id.strip() if place is FieldRole.SESSION_ID else as_id
    elif (place is FieldRole.PARTICIPANT and not isinstance(value, Mapping)) or (
        place is FieldRole.ERROR and not isinstance(value, (Mapping, BaseException))
    ):
        bound.moved[key] = value
        return
    bound.own[place] = value


def _unpack_bag(bound: Extra) -> None:
    # logger.info("…", extra={…}) is a habit of the standard library's logging: take its
    # contents, unless a value that moved here needs one of the names.
    bag = bound.own.pop(FieldRole.BAG, None)
    if bag is None:
        return
    if isinstance(bag, Mapping) and not any(key in bound.moved for key in bag):
        bound.moved = {**bag, **bound.moved}
    else:
        bound.moved[fields.EXTRA] = bag
