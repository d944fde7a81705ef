from pipecat_dd.cli.demo.environment import bot_environment, quiet_environment


def test_what_the_user_set_up_for_datadog_does_not_reach_the_demo():
    theirs = {
        "DD_API_KEY": "secret",
        "DD_AGENTLESS_ENABLED": "true",
        "DD_TRACE_ENABLED": "false",
        "_DD_TRACE_WRITER_ADDITIONAL_HEADERS": "a:b",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "elsewhere",
        "OPENAI_API_KEY": "secret",
        "PIPECAT_DD_CAPTURE_CONTENT": "true",
        "https_proxy": "proxy",
        "HTTP_PROXY": "proxy",
        "LOGURU_LEVEL": "ERROR",
        "PATH": "kept",
    }
    assert quiet_environment(theirs) == {"PATH": "kept", "NO_PROXY": "*"}


def test_a_bot_sends_its_traces_to_the_given_agent_and_nothing_else():
    env = bot_environment(agent_url="agent", provider_url="provider", service="s", environ={})
    assert env["DD_TRACE_AGENT_URL"] == "agent"
    assert env["OPENAI_BASE_URL"] == "provider"
    assert env["DD_SERVICE"] == "s"
    assert env["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] == "false"
    assert env["DD_REMOTE_CONFIGURATION_ENABLED"] == "false"
