"""What Datadog adds is looked past; whatever differs from what is wanted is seen."""

import copy

import hypothesis.strategies as st
import pytest
from hypothesis import given

from pipecat_dd.cli.setup.comparing import differences

NAMES = st.sampled_from(["a", "b", "c", "query", "options"])
LEAVES = st.one_of(st.booleans(), st.integers(1, 9), st.sampled_from(["x", "y", "z"]))
BODIES = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda below: st.one_of(
            st.lists(below, min_size=1, max_size=3),
            st.dictionaries(NAMES, below, min_size=1, max_size=3),
        ),
        max_leaves=8,
    ),
    min_size=1,
)


def with_additions(value):
    """As Datadog gives back what it was given."""
    if isinstance(value, dict):
        return {
            **{name: with_additions(one) for name, one in value.items()},
            "id": 1234,
            "modified_at": "2026-01-01T00:00:00+00:00",
            "notify_list": None,
        }
    return [with_additions(one) for one in value] if isinstance(value, list) else value


def leaves(value, way=()):
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        yield way
        return
    for name, below in items:
        yield from leaves(below, (*way, name))


@given(BODIES)
def test_what_datadog_adds_is_no_difference(body):
    assert differences(body, with_additions(body)) == []


@given(BODIES, st.data())
def test_every_other_value_is_a_difference_and_is_named(body, data):
    found = with_additions(body)
    *way, last = data.draw(st.sampled_from(list(leaves(body))))
    place = found
    for step in way:
        place = place[step]
    place[last] = "something else"
    (path,) = differences(body, found)
    assert path.endswith(f"[{last}]" if isinstance(last, int) else str(last))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"type": "metric alert"}, {"type": "query alert"}),
        ({"tags": ["b", "a"]}, {"tags": ["a", "x", "b"]}),
        (
            {"group_by": [{"path": "b"}, {"path": "a"}]},
            {"group_by": [{"path": "a"}, {"path": "b"}]},
        ),
        ({"group_by": []}, {"group_by": None}),
        ({"available_values": []}, {}),
        ({"message": "a\n"}, {"message": "a"}),
        ({"critical": 10.0}, {"critical": 10}),
    ],
)
def test_what_datadog_is_known_to_give_back_otherwise_is_no_difference(wanted, found):
    assert differences(wanted, found) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"is_enabled": True}, {"is_enabled": False}),
        ({"is_enabled": False}, {}),
        ({"critical": 0}, {"critical": None}),
        ({"tags": ["a", "b"]}, {"tags": ["a"]}),
        ({"widgets": [1]}, {"widgets": [1, 2]}),
        ({"widgets": [1, 2]}, {"widgets": [2, 1]}),
        ({"group_by": []}, {"group_by": [{"path": "a"}]}),
        ({"query": "a"}, {}),
    ],
)
def test_what_is_not_as_wanted_is_a_difference(wanted, found):
    assert differences(wanted, copy.deepcopy(found))
