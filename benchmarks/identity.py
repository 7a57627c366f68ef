"""Certificates, tickets and clear connections of the benchmarks: what a Locator and a set-up would provide."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from spire.runtime.clock import Clock
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.certificates import make_authority, make_server_certificate
from spire.wire.interfaces import IConnector, IListener, ITicketSource
from spire.wire.tickets import Claims, HeldTicket, TicketKey, TicketVerifier, issue, load_key, public_bytes
from spire.wire.tls import TlsConnector, TlsListener

SIGNING = TicketKey(key_id="benchmark", private=load_key(b"s" * 32))
HOLDER = load_key(b"h" * 32)


def make_certificates(services: list[str], now: Timestamp) -> Path:
    """Write an authority and one certificate for all `services` into a temporary directory, removed at exit."""
    directory = Path(tempfile.mkdtemp(prefix=f"spire-benchmark-{os.getpid()}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    authority = make_authority("benchmark", now)
    server = make_server_certificate(authority, services, ["127.0.0.1"], now)
    (directory / "authority.pem").write_bytes(authority.certificate)
    (directory / "server.pem").write_bytes(server.certificate)
    (directory / "server.key").touch(mode=0o600)
    (directory / "server.key").write_bytes(server.key)
    return directory


def tls_connector(directory: Path, reactor: Any) -> TlsConnector:
    """Return what connects to servers of the directory's authority."""
    return TlsConnector(str(directory / "authority.pem"), reactor)


def tls_listener(directory: Path, reactor: Any) -> TlsListener:
    """Return what listens with the directory's certificate."""
    return TlsListener((directory / "server.pem").read_bytes(), (directory / "server.key").read_bytes(), reactor)


@implementer(IConnector, IListener)
class Clear:
    """Connections without TLS, to tell its share."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def endpoint(self, address: str, service: str) -> IStreamClientEndpoint:
        """Return a plain endpoint."""
        host, _, port = address.rpartition(":")
        return HostnameEndpoint(self._reactor, host, int(port))

    def listen(self, address: str, service: str, factory: IProtocolFactory) -> "Deferred[IListeningPort]":
        """Listen in clear text."""
        host, _, port = address.rpartition(":")
        return TCP4ServerEndpoint(self._reactor, int(port), interface=host).listen(factory)


@implementer(ITicketSource)
class Tickets:
    """Signs its own tickets, good for everything, an hour each."""

    def __init__(
        self,
        clock: Clock,
        *,
        account: str = "benchmark",
        account_id: int = 7,
        roles: frozenset[str] = frozenset(),
        capabilities: frozenset[str] = frozenset(),
        audiences: tuple[str, ...],
    ) -> None:
        self._clock = clock
        self._account = account
        self._account_id = account_id
        self._roles = roles
        self._capabilities = capabilities
        self._audiences = audiences

    async def ticket(self) -> HeldTicket:
        """Return a fresh ticket."""
        now = self._clock.now()
        expires = Timestamp(now + 3600 * NANOSECONDS)
        claims = Claims(
            account_id=self._account_id,
            account=self._account,
            audiences=self._audiences,
            environment=Environment.DEMO,
            roles=self._roles,
            capabilities=self._capabilities,
            login_session="benchmark",
            key=public_bytes(HOLDER),
            issued=now,
            expires=expires,
        )
        return HeldTicket(ticket=issue(claims, SIGNING), key=HOLDER, issued=now, expires=expires)

    def on_renewed(self, callback: Any) -> None:
        """Never renew: no run takes an hour."""


def verifier(clock: Clock) -> TicketVerifier:
    """Return what servers check the tickets with."""
    return TicketVerifier({SIGNING.key_id: public_bytes(SIGNING.private)}, lambda _: False, Environment.DEMO, clock)
