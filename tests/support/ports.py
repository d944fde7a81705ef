"""Free ports."""

import random
import socket


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


_given: set[int] = set()


def free_server_port() -> int:
    """Return a free port, another each time, below those that the system gives to clients.

    For a server that listens only a while later: until then no client of this machine's can
    have been given its port.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
