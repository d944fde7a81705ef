"""The fields of lines: documented as defined, and lines have no others."""

import re
from pathlib import Path

from pipecat_dd.export.logs.field_roles import UNCUT, FieldRole, role_of
from pipecat_dd.names.fields import BOUND_BY_CONVENTION, FIELDS

DOCS = Path(__file__).parents[3] / "docs" / "logs.md"
NAMES = {field.name for field in FIELDS}


def test_the_document_has_the_fields_that_are_defined() -> None:
    text = DOCS.read_text(encoding="utf-8")
    table = text.partition("## Fields")[2].partition("A field without a value")[0]
    named = {
        name
        for row in re.findall(r"^\| (.*?) \|", table, re.M)
        for name in re.findall(r"`([\w.]+)`", row)
    }
    # `levelname` is explained beside `status`.
    assert named | {"levelname"} == NAMES


def test_every_field_that_stays_whole_is_defined() -> None:
    roots = {name.partition(".")[0] for name in NAMES} | NAMES
    assert roots >= UNCUT


def test_what_users_bind_by_convention_stays_where_they_bound_it() -> None:
    for field in BOUND_BY_CONVENTION:
        assert role_of(field.name) is FieldRole.TOP
