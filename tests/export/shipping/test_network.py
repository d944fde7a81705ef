"""Over TLS, whose certificates are checked, and through the proxy that the environment names."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from loguru import logger

from pipecat_dd.export.logs import unconfigure_logging
from pipecat_dd.export.shipping import lifecycle, shipping_counts
from tests.export.shipping.conftest import ShipTo
from tests.support.intake import KEY, Intake, Reply, first, running_intake

PASSWORD = "the proxy's password"
ELSEWHERE = "intake.example"
"""What the proxy leads to the intake by: this machine itself is reached without a proxy."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost's and of a server elsewhere, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(ELSEWHERE)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_intake(certificate: Path) -> Iterator[Intake]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with running_intake(tls=tls) as running:
        yield running
        unconfigure_logging()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is one that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


class Proxy:
    """A proxy that opens tunnels."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += client.recv(4096)
        self.asked.append(asked.decode())
        host, _, port = asked.split()[1].decode().rpartition(":")
        host = "127.0.0.1" if host == ELSEWHERE else host
        with client, socket.create_connection((host, int(port))) as there:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(there, client), daemon=True)
            back.start()
            _copy(client, there)
            back.join(5)


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while sent := one.recv(65_536):
            other.sendall(sent)
        other.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy()
    password = PASSWORD.replace(" ", "%20")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{password}@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    yield proxy
    proxy.close()


@pytest.mark.usefixtures("trusted")
def test_lines_go_over_tls_on_one_connection(secure_intake: Intake, ship_to: ShipTo) -> None:
    ship_to(secure_intake)
    for number in range(3):
        logger.info(str(number))
        secure_intake.wait_for_lines(number + 1)
    assert secure_intake.connections == 1
    assert shipping_counts().dropped == {}


@pytest.mark.usefixtures("trusted", "impatient")
def test_an_answer_that_does_not_come_is_not_waited_for_at_the_end(
    secure_intake: Intake, ship_to: ShipTo
) -> None:
    hangs = threading.Event()
    secure_intake.script = first(Reply(202, after=hangs, keeps=False))
    ship_to(secure_intake, timeout_secs=60)
    logger.info("one")
    secure_intake.wait_for_requests(1)
    lifecycle.finish()
    logger.info("two")
    secure_intake.wait_for_lines(1, timeout_secs=5)
    assert secure_intake.messages == ["two"]
    hangs.set()


@pytest.mark.usefixtures("impatient")
def test_who_cannot_prove_who_it_is_gets_neither_lines_nor_the_key(
    secure_intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    sink = ship_to(secure_intake)
    logger.info("hello")
    unconfigure_logging()
    assert secure_intake.requests == []
    assert shipping_counts().requests > 0
    assert "certificate" in sink.text


@pytest.mark.usefixtures("trusted")
def test_the_environments_proxy_is_gone_through(
    secure_intake: Intake, ship_to: ShipTo, proxy: Proxy
) -> None:
    secure_intake.url = secure_intake.url.replace("localhost", ELSEWHERE)
    sink = ship_to(secure_intake)
    logger.info("hello")
    secure_intake.wait_for_lines(1)
    (asked,) = proxy.asked
    assert asked.startswith(f"CONNECT {ELSEWHERE}:{secure_intake.port} ")
    assert "Proxy-Authorization: Basic" in asked
    assert KEY not in asked
    assert "proxy-authorization" not in secure_intake.requests[0].headers
    assert PASSWORD not in sink.text


@pytest.mark.usefixtures("trusted")
def test_it_is_not_gone_through_to_this_machine(
    secure_intake: Intake, ship_to: ShipTo, proxy: Proxy
) -> None:
    ship_to(secure_intake)
    logger.info("hello")
    secure_intake.wait_for_lines(1)
    assert proxy.asked == []


@pytest.mark.usefixtures("impatient")
def test_a_proxy_that_is_down_is_an_intake_that_is_down(
    secure_intake: Intake, ship_to: ShipTo, proxy: Proxy
) -> None:
    proxy.close()
    secure_intake.url = secure_intake.url.replace("localhost", ELSEWHERE)
    sink = ship_to(secure_intake)
    logger.info("hello")
    unconfigure_logging()
    assert "do not reach" in sink.text
    assert PASSWORD not in sink.text
    assert KEY not in sink.text
