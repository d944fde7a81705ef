"""Check whether a server listens at the address that metrics are sent to.

DogStatsD never answers, so the check sends an empty packet and waits for a rejection.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Fact, Finding, Level
from pipecat_dd.export.metrics import _dogstatsd
from pipecat_dd.settings.table import METRICS

CHECK: Final = "metrics.listening"

_REFUSED_WITHIN_SECS: Final = 0.2
"""How long to wait for a rejection."""


def listening(context: Context) -> Iterator[Finding]:
    """Check whether an empty packet to DogStatsD's address is rejected."""
    if context.is_on("DD_DOGSTATSD_DISABLE", False):
        yield Finding(
            CHECK,
            Level.NOTE,
            "DD_DOGSTATSD_DISABLE is on: no metrics are sent.",
            "Unset it if you want metrics.",
        )
        return
    address = _dogstatsd.address()
    shown = _shown(address)
    wanted = context.start.metrics or context.turns_on(METRICS)
    why = _refusal(address)
    facts: dict[str, Fact] = {"address": shown, "wanted": wanted, "why": why or None}
    if not why:
        yield Finding(
            CHECK, Level.OK, f"Metrics sent to {shown} are not rejected (DogStatsD).", facts=facts
        )
        return
    if not wanted:
        yield Finding(
            CHECK,
            Level.OK,
            f"Nothing receives metrics at {shown}: {why}. The bot does not seem to send any "
            "(metrics=True is not set).",
            facts=facts,
        )
        return
    yield Finding(
        CHECK,
        Level.PROBLEM,
        f"Nothing receives metrics at {shown}: {why}.",
        "Make the Agent listen there (if it runs in another container, set "
        "DD_DOGSTATSD_NON_LOCAL_TRAFFIC=true or mount its socket into both), or set "
        "DD_DOGSTATSD_URL to the Agent's address.",
        facts,
    )


def _shown(address: dict[str, Any]) -> str:
    path = address.get("socket_path")
    if path is None:
        return f"udp://{address['host']}:{address['port']}"
    return str(path) if "://" in str(path) else f"unix://{path}"


def _refusal(address: dict[str, Any]) -> str:
    """Return why packets are rejected at an address; empty if they are not."""
    try:
        path = address.get("socket_path")
        if path is not None:
            _connect_unix(str(path))
            return ""
        return _refused_udp(address["host"], address["port"])
    except socket.gaierror:
        return "the host name is unknown"
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "this socket does not exist"
        return (error.strerror or type(error).__name__).lower()


def _connect_unix(url: str) -> None:
    scheme, is_url, path = url.partition("://")
    kinds = [socket.SOCK_DGRAM, socket.SOCK_STREAM]
    if is_url and scheme in ("unixgram", "unixstream"):
        kinds = [socket.SOCK_DGRAM if scheme == "unixgram" else socket.SOCK_STREAM]
    for kind in kinds:
        with socket.socket(socket.AF_UNIX, kind) as unix:
            try:
                unix.connect(path if is_url else url)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE or kind is kinds[-1]:
                    raise
            else:
                return


def _refused_udp(host: str, port: int) -> str:
    family, kind, *_, to = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as udp:
        udp.connect(to)
        udp.settimeout(_REFUSED_WITHIN_SECS)
        # Empty, so that a listening server ignores it. The next call raises a rejection.
        udp.send(b"")
        try:
            udp.recv(1)
        except TimeoutError:
            return ""
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
    return ""


CHECKS: Final = (listening,)
