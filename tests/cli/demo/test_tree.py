import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipecat_dd.cli.demo.tree import draw


def drawn(received, width=100, *, all_lines=False, encoding="utf-8") -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    console = Console(file=stream, width=width, color_system=None, _environ={})
    console.print(draw(received, all_lines=all_lines))
    stream.seek(0)
    return stream.read().splitlines()


def row(rows, text):
    (found,) = [each for each in rows if text in each]
    return found


def bar(rows, text, width=36) -> str:
    return row(rows, text)[-width:]


def test_what_happened_reads_from_top_to_bottom(received):
    what = [each.strip("│├└─ ").split("  ")[0] for each in drawn(received)]
    assert what == [
        "pipecat.session demo-bot",
        "0.50s INFO the user is there",
        "pipecat.turn 1 user",
        "pipecat.user_speech SileroVADAnalyzer",
        "pipecat.stt OpenAISTTService gpt-transcribe",
        "pipecat.llm OpenAILLMService gpt-4.1",
        "openai.request createChatCompletion",
        "pipecat.tool get_weather",
        "3.61s INFO looking up",
        "aiohttp.request",
        "3.71s WARNING the service {answered} [bold]503[/bold] with two lines",
        "pipecat.tts OpenAITTSService gpt-4o-mini-tts",
        "pipecat.frame Aggregator SlowFrame",
        "pipecat.turn 2 user",
        "12.00s INFO second turn",
    ]


def test_a_child_stands_one_step_right_of_its_parent(received):
    rows = drawn(received)
    depths = [row(rows, name).index(name) for name in ("session", "turn 1", "llm", "openai")]
    assert depths == [8, 12, 16, 12]  # the first three behind "pipecat."


def test_errors_are_marked_with_their_type_and_status(received):
    assert "503  ✗ Oops" in row(drawn(received), "aiohttp.request")


def test_interruptions_are_marked(received):
    marked = [each for each in drawn(received) if "✂ interrupted" in each]
    assert len(marked) == 1
    assert "turn 2" in marked[0]


def test_bars_of_a_turn_are_on_the_turns_own_scale(received):
    rows = drawn(received)
    assert bar(rows, "turn 1") == "━" * 36
    # 1.5 s and 4 s of a turn of 8 s, the latter from its third second on.
    assert bar(rows, "user_speech") == "━" * 7 + "┈" * 29
    assert bar(rows, "pipecat.tts") == "┈" * 13 + "━" * 19 + "┈" * 4


def test_the_sessions_bar_shows_where_its_turns_lie(received):
    assert bar(drawn(received), "session") == " " + "━" * 15 + "  " + "━" * 14 + "    "


def test_the_shortest_span_has_a_bar(received):
    assert bar(drawn(received), "aiohttp").count("━") == 1


def test_debug_lines_are_drawn_only_when_asked_for(received):
    assert not any("fine detail" in each for each in drawn(received))
    assert any("fine detail" in each for each in drawn(received, all_lines=True))


def test_quick_frames_are_drawn_only_when_asked_for_or_with_something_under_them(received):
    assert not any("TextFrame" in each for each in drawn(received))
    assert any("TextFrame" in each for each in drawn(received, all_lines=True))
    assert any("SlowFrame" in each for each in drawn(received))


@pytest.mark.parametrize("width", [30, 60, 80, 100, 160, 240])
def test_no_row_is_wider_than_the_terminal_or_wraps(received, width):
    rows = drawn(received, width)
    assert len(rows) == 15
    assert all(cell_len(each) <= width for each in rows)


def test_a_narrow_terminal_still_shows_what_failed_and_was_interrupted(received):
    rows = drawn(received, 60)
    assert "✗ Oops" in row(rows, "aiohttp.request")
    assert any("✂" in each for each in rows)


def test_numbers_are_shown_where_there_is_room(received):
    assert "answered after 1.25 s" in row(drawn(received, 160), "turn 2")


def test_a_terminal_without_unicode_gets_ascii_bars(received):
    rows = drawn(received, encoding="ascii")
    assert bar(rows, "user_speech") == "=" * 7 + "." * 29


def test_at_eighty_columns_facts_and_durations_take_the_place_of_the_bars(received):
    rows = drawn(received, 80)
    assert not any("━" in each or "┈" in each for each in rows)
    assert "answered after 1.25 s" in row(rows, "turn 2")
    assert row(rows, "turn 1").rstrip().endswith(" s")
    assert "━" in row(drawn(received, 81), "turn 1")
