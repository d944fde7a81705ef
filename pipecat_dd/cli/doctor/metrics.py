"""Whether anything listens where metrics are sent to. Nobody answers DogStatsD, so it is tried."""

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
"""How long a refusal may take to come back. What comes later is not waited for."""


def listening(situation: Context) -> Iterator[Finding]:
    """Try to send an empty packet there."""
    if situation.is_on("DD_DOGSTATSD_DISABLE", False):
        yield Finding(
            CHECK,
            Level.NOTE,
            "DD_DOGSTATSD_DISABLE is on: no metrics are sent.",
            "Unset it, if metrics are to be sent.",
        )
        return
    address = _dogstatsd.address()
    shown = _shown(address)
    wanted = situation.start.metrics or situation.turns_on(METRICS)
    why = _refusal(address)
    facts: dict[str, Fact] = {"address": shown, "wanted": wanted, "why": why or None}
    if not why:
        yield Finding(
            CHECK, Level.OK, f"Metrics sent to {shown} are not refused (DogStatsD).", facts=facts
        )
        return
    if not wanted:
        yield Finding(
            CHECK,
            Level.OK,
            f"Metrics are not asked for (metrics=True), as far as is seen here; nothing takes any "
            f"at {shown}: {why}.",
            facts=facts,
        )
        return
    yield Finding(
        CHECK,
        Level.PROBLEM,
        f"Nothing takes metrics at {shown}: {why}.",
        "Have the Agent listen there (from another container: DD_DOGSTATSD_NON_LOCAL_TRAFFIC=true, "
        "or a socket that both mount), or set DD_DOGSTATSD_URL to where it does.",
        facts,
    )


def _shown(address: dict[str, Any]) -> str:
    path = address.get("socket_path")
    if path is None:
        return f"udp://{address['host']}:{address['port']}"
    return str(path) if "://" in str(path) else f"unix://{path}"


def _refusal(address: dict[str, Any]) -> str:
    """Return why nothing is taken there; empty where nothing says so."""
    try:
        path = address.get("socket_path")
        if path is not None:
            _connect_unix(str(path))
            return ""
        return _refused_udp(address["host"], address["port"])
    except socket.gaierror:
        return "its name is not known"
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "there is no such socket"
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
        # Empty, so that whoever listens makes nothing of it. A refusal comes back as an error.
        udp.send(b"")
        try:
            udp.recv(1)
        except TimeoutError:
            return ""
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
    return ""


CHECKS: Final = (listening,)
