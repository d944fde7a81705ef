"""Free ports."""

import socket


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
