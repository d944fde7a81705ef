from pipecat_dd.cli.demo.received import receive
from tests.cli.demo import sample


def received_with(tmp_path, *more_lines):
    chunks, lines = sample.conversation()
    session = chunks[-1][0]
    more = [make(session) for make in more_lines]
    return receive(chunks, sample.write_lines(tmp_path / "bot.jsonl", [*lines, *more]))


def test_spans_of_all_chunks_are_one_tree_under_the_session(received):
    assert received.roots == [received.session]
    assert [child.name for child in received.session.children] == ["pipecat.turn", "pipecat.turn"]
    assert len(list(received.session.walk())) == len(received.spans) == 12


def test_a_line_belongs_to_the_span_whose_id_it_carries(received):
    tool = next(span for span in received.spans if span.name == "pipecat.tool")
    assert [line.message.split()[0] for line in tool.lines] == ["looking", "the"]


def test_all_is_well_when_every_line_of_the_session_leads_to_a_span(received):
    assert received.problems() == []
    assert len(received.lines_in_session()) == 6


def test_a_line_without_ids_in_the_session_is_a_problem(tmp_path):
    received = received_with(tmp_path, lambda _: sample.line(7, None, "lost"))
    assert [line.message for line in received.uncorrelated()] == ["lost"]
    (problem,) = received.problems()
    assert "1 log lines" in problem
    assert "lost" in problem


def test_a_line_with_the_id_of_a_span_that_never_arrived_is_a_problem(tmp_path):
    def orphan(session):
        return sample.line(7, {**session, "span_id": 999_999}, "orphan")

    received = received_with(tmp_path, orphan)
    assert [line.message for line in received.uncorrelated()] == ["orphan"]


def test_a_span_id_under_another_trace_is_not_that_span(tmp_path):
    def foreign(session):
        return sample.line(7, {**session, "trace_id": 1}, "foreign")

    received = received_with(tmp_path, foreign)
    assert [line.message for line in received.uncorrelated()] == ["foreign"]


def test_lines_outside_the_session_need_no_ids(tmp_path):
    received = received_with(
        tmp_path,
        lambda _: sample.line(-0.001, None, "just before"),
        lambda _: sample.line(20.001, None, "just after"),
    )
    assert received.problems() == []


def test_traces_without_a_session_are_a_problem(tmp_path):
    chunks, lines = sample.conversation()
    received = receive(chunks[:-1], sample.write_lines(tmp_path / "bot.jsonl", lines))
    assert received.problems() == ["the test agent received no span pipecat.session"]
    assert [root.name for root in received.roots] == ["pipecat.turn", "pipecat.turn"]


def test_nothing_at_all_is_a_problem(tmp_path):
    received = receive([], tmp_path / "never-written.jsonl")
    assert received.problems() == ["the test agent received no traces"]


def test_a_log_without_lines_is_a_problem(tmp_path):
    chunks, _ = sample.conversation()
    received = receive(chunks, tmp_path / "never-written.jsonl")
    assert received.problems() == ["no log line was written during the session"]
