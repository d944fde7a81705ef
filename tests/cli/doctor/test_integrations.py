"""What is said of ddtrace's integrations in a process where tests/conftest.py patches two."""

from pipecat_dd.cli.doctor import integrations
from pipecat_dd.cli.doctor.finding import Level
from pipecat_dd.cli.doctor.start import Start
from tests.cli.doctor.running import found


def test_what_is_installed_and_not_switched_on_is_told() -> None:
    finding = found(integrations.patches)["integrations.patched"]
    assert finding.level is Level.NOTE
    patched, not_patched = finding.facts["patched"], finding.facts["not_patched"]
    assert isinstance(patched, list)
    assert isinstance(not_patched, list)
    assert {"openai", "httpx"} <= set(patched)
    assert "aiohttp" in not_patched
    assert "aiohttp" in finding.do
    assert "in this process" in finding.says


def test_a_command_whose_file_is_not_found_is_not_taken_for_all_there_is() -> None:
    start = Start.read("python no_such_bot.py")
    finding = found(integrations.patches, start=start)["integrations.patched"]
    assert "names no Python file" in finding.says


def test_a_library_that_ddtrace_patches_well_is_not_talked_about() -> None:
    assert found(integrations.failures) == {}


def test_messages_of_websockets_that_nobody_traces_are_fine() -> None:
    name = "integrations.websocket_messages"
    off = {integrations.MESSAGES: "false"}
    assert found(integrations.websocket_messages, off)[name].level is Level.OK
    told = found(integrations.websocket_messages, start=Start.read("python bot.py"))
    assert told[name].level is Level.OK  # FastAPI is not patched here
    assert found(integrations.websocket_messages) == {}
