"""A client that keeps no rules: one connection to a real server, on which anything may be sent."""

from os import urandom
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from spire.client.deployment import Deployment
from spire.client.platform import Spire
from spire.locator.keys import key_id_of, load_or_make
from spire.operations.instance import Instance
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.wire.client_connection import ClientConnection
from spire.wire.connection import Traffic
from spire.wire.guard import Guard
from spire.wire.handshake import PROTOCOL_VERSION, Authenticate, Hello
from spire.wire.limits import Limits
from spire.wire.tickets import Claims, HeldTicket, TicketKey, issue, make_key, public_bytes, read, sign_proof
from spire.wire.tls import TlsConnector


class Peer(ClientConnection):
    """A connection to one service: `greet` first, then whatever a test wants; `lost` fires when it is gone."""

    service = ""
    greeting: dict[str, Any]

    async def greet(self, deployment: Deployment) -> None:
        """Say hello as everybody does."""
        self.lost: Deferred[None] = Deferred()
        self.on_lost(lambda _: self.lost.callback(None))
        hello = {
            "protocol": PROTOCOL_VERSION,
            "environment": deployment.environment.name,
            "service": self.service,
            "client_version": "a test",
        }
        self.greeting = await self.ask(Hello, hello)

    def proof(self, held: HeldTicket) -> bytes:
        """Return the proof that fits this connection."""
        return sign_proof(held.key, self.service, self.greeting["instance_id"], self.greeting["nonce"])

    def present(self, ticket: str, proof: bytes) -> Deferred[dict[str, Any]]:
        """Log in with a ticket and a proof, whatever they are."""
        return self.ask(Authenticate, {"ticket": ticket, "proof": proof})

    def log_in(self, held: HeldTicket) -> Deferred[dict[str, Any]]:
        """Log in as one should."""
        return self.present(held.ticket, self.proof(held))


async def connect(client: Spire, service: str) -> Peer:
    """Return a peer that has said hello to the server that `client` would use."""
    deployment = client.deployment
    clock, metrics, made = Clock(client.clock.reactor), Metrics(), Deferred[Peer]()

    class Peers(Factory):
        noisy = False

        def buildProtocol(self, address: object) -> Peer:
            peer = Peer(Guard(metrics, "peer"), clock, Traffic(metrics, "peer"), Limits(), "peer")
            peer.service = service
            peer.prepare((), made.callback)
            return peer

    [provider] = await client.link.addresses(service)
    connector = TlsConnector(str(deployment.locator.authority.path))
    await connector.endpoint(provider.addresses[0], service).connect(Peers())
    peer = await made
    await peer.greet(deployment)
    return peer


class Forger:
    """Who stole the Locator's signing key, in order to make tickets that are wrong in one point only."""

    def __init__(self, instance: Instance) -> None:
        key = load_or_make(instance.layout.secrets / "signing_key.pem", urandom)
        self.key = TicketKey(key_id=key_id_of(public_bytes(key)), private=key)

    def claims(self, held: HeldTicket) -> Claims:
        """Return what a genuine ticket says."""
        return read(held.ticket, {self.key.key_id: public_bytes(self.key.private)})

    def changed(self, held: HeldTicket, **changes: Any) -> str:
        """Return a ticket that says something else, rightly signed."""
        return issue(evolve(self.claims(held), **changes), self.key)

    def forged(self, held: HeldTicket) -> str:
        """Return a ticket that says the same, signed by somebody else in the Locator's name."""
        own = TicketKey(key_id=self.key.key_id, private=make_key())
        return issue(self.claims(held), own)
