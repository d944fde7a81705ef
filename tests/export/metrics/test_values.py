"""Tags keep to few values, and to characters that mean nothing to the Agent."""

from hypothesis import given
from hypothesis import strategies as st

from pipecat_dd.export.metrics.values import MAX_CHARS, OTHER, Values

LIMIT = 5
tags = st.tuples(st.sampled_from(["model", "tool"]), st.text() | st.integers() | st.booleans())


@given(st.lists(tags, max_size=40))
def test_no_tag_has_more_values_than_there_is_room_for(
    given_tags: list[tuple[str, object]],
) -> None:
    values = Values(LIMIT)
    sent: dict[str, set[str]] = {}
    for name, value in given_tags:
        tag = values.tag(name, value)
        if tag is not None:
            sent.setdefault(name, set()).add(tag)
    for name, found in sent.items():
        assert len(found - {f"{name}:{OTHER}"}) <= LIMIT


@given(st.lists(tags, min_size=1, max_size=40), st.data())
def test_a_value_that_had_room_keeps_it(
    given_tags: list[tuple[str, object]], data: st.DataObject
) -> None:
    values = Values(LIMIT)
    before = [values.tag(*given_tag) for given_tag in given_tags]
    again = data.draw(st.integers(0, len(given_tags) - 1))
    assert values.tag(*given_tags[again]) == before[again]


@given(st.text(min_size=1))
def test_a_tag_cannot_end_the_line_or_add_another(text: str) -> None:
    tag = Values().tag("tool", text)
    assert tag is not None
    assert not set(tag) & set("|,#\n\r @ ")
    assert len(tag) <= len("tool:") + MAX_CHARS


def test_what_is_not_known_is_left_out() -> None:
    assert Values().tag("model", None) is None
    assert Values().tag("model", "") is None


def test_truth_is_written_as_elsewhere() -> None:
    assert Values().tag("usable", False) == "usable:false"
