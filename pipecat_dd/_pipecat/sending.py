"""Reads, from the Linux kernel, how much of a websocket's data the peer has not acknowledged."""

import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat_dd._private import peek

if sys.platform == "linux":
    import fcntl
    from termios import TIOCOUTQ

_TCP_INFO = getattr(socket, "TCP_INFO", 11)
_INFO_BYTES = 152
# In the kernel's `struct tcp_info`: how many milliseconds ago the last acknowledgement came, how
# many bytes were acknowledged, and the shortest round trip, in microseconds.
_LAST_ACK, _ACKED, _MIN_RTT = 56, 120, 148


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the peer has acknowledged.

    Attributes:
        byte_count: How many bytes.
        last_ns: How long ago the last acknowledgement came.
        round_trip_ns: The shortest round trip.
    """

    byte_count: int
    last_ns: int
    round_trip_ns: int


class SendQueue:
    """The send queue of the socket behind an output transport."""

    def __init__(self, output: Any) -> None:
        """Prepare to look.

        Args:
            output: Pipecat's output transport.
        """
        self._output = output
        self._websocket: Any = None
        self._transport: Any = None

    def unacknowledged(self) -> int | None:
        """Return how many bytes the peer has not acknowledged; None where that is not known."""
        held = bytearray(4)
        try:
            fd = self._fd()
            if fd is None:
                return None
            fcntl.ioctl(fd, TIOCOUTQ, held)
        except (OSError, ValueError):  # a kernel, or a socket, that does not say
            return None
        return int.from_bytes(held, sys.byteorder)

    def acknowledged(self) -> Acknowledged | None:
        """Return what the peer has acknowledged; None where that is not known."""
        try:
            fd = self._fd()
            if fd is None:
                return None
            # A socket of uvloop's lacks `getsockopt`.
            borrowed = socket.socket(fileno=fd)
            try:
                info = borrowed.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
            finally:
                borrowed.detach()
        except (OSError, ValueError):
            return None
        if len(info) < _INFO_BYTES:
            return None
        (last_ms,) = struct.unpack_from("I", info, _LAST_ACK)
        (byte_count,) = struct.unpack_from("Q", info, _ACKED)
        (round_trip_us,) = struct.unpack_from("I", info, _MIN_RTT)
        return Acknowledged(byte_count, last_ms * 1_000_000, round_trip_us * 1_000)

    def _fd(self) -> int | None:
        websocket = peek(self._output, "_websocket")
        if websocket is None:
            websocket = peek(peek(self._output, "_client"), "_websocket")
        if websocket is not self._websocket:
            self._websocket, self._transport = websocket, _transport_of(websocket)
        transport = self._transport
        if transport is None or transport.is_closing():
            return None
        found = transport.get_extra_info("socket")
        fd = found.fileno() if found is not None else -1
        return fd if fd >= 0 else None


def send_queue_of(output: Any) -> SendQueue | None:
    """Return the send queue behind an output transport; None if there is none to look at.

    Args:
        output: Pipecat's output transport.
    """
    if sys.platform != "linux" or "Websocket" not in "".join(
        kind.__name__ for kind in type(output).__mro__
    ):
        return None
    return SendQueue(output)


def _transport_of(websocket: Any) -> Any:
    """Return asyncio's transport below a websocket, of `websockets` or behind uvicorn."""
    served: Callable[..., Any] | None = peek(websocket, "_receive")
    holder = getattr(served, "__self__", None) or websocket
    transport = getattr(holder, "transport", None)
    is_tcp = (
        transport is not None
        and callable(getattr(transport, "get_extra_info", None))
        and isinstance(transport.get_extra_info("sockname"), tuple)
    )
    return transport if is_tcp else None
