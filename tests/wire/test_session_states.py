"""Whatever peers do, and in whatever order, sessions end clean."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from spire.wire.boxes import serialise
from spire.wire.handshake import Goodbye, Heartbeat, Reauthenticate
from spire.wire.server_session import State
from tests.wire.support import Absent, Add, Note, Peer, Ping, Stop, Wait, WireTestCase

STEPS = st.sampled_from(
    [
        "connect",
        "hello",
        "login",
        "bad login",
        "renew",
        "call",
        "wait",
        "stop",
        "answer",
        "stranger",
        "unknown",
        "push",
        "goodbye",
        "garbage",
        "noise",
        "large",
        "drop",
        "hang",
        "revoke",
        "seconds",
        "minutes",
    ]
)


class SessionStateTests(WireTestCase):
    """A random walk of two peers, one of them logged in."""

    @settings(max_examples=60)
    @given(walk=st.lists(st.tuples(STEPS, st.integers(min_value=0, max_value=1)), max_size=30))
    def test_every_walk_ends_with_everything_released(self, walk: list[tuple[str, int]]) -> None:
        """No fault of ours is logged, no session, registration or timer is left."""
        self.setUp()
        peers: list[Peer] = [self.log_in(), self.connect()]
        nonces = [b"", b""]
        released: list[str] = []
        for step, which in walk:
            self.step(step, which, peers, nonces)
            self.clock.pump()
            for room in self.avatars.rooms:
                session = room.session
                if session is not None and session.id not in released and session.state is not State.CLOSED:
                    released.append(session.id)
                    session.on_close(lambda name=session.id: released.remove(name))
        logged_in = [room.session for room in self.avatars.rooms]
        self.network.drop()
        for room in self.avatars.rooms:
            for waiting in room.waiting.values():
                if not waiting.called:
                    waiting.callback(None)
        self.clock.advance(30.0)
        self.assertEqual((self.factory.sessions, released), (set(), []))
        self.assertCountEqual(self.avatars.closed_sessions, logged_in)
        self.assertTrue(all(session is not None and session.state is State.CLOSED for session in logged_in))
        self.assertEqual(self.clock.reactor.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def step(self, step: str, which: int, peers: list[Peer], nonces: list[bytes]) -> None:
        """Let one peer do one thing."""
        peer = peers[which]
        if step == "connect":
            peer.abort()
            peers[which] = self.connect()
        elif step == "hello":
            self.quietly(self.hello(peer), nonces, which)
        elif step == "login":
            self.quietly(self.authenticate(peer, nonces[which]), nonces, which)
        elif step == "bad login":
            self.quietly(self.authenticate(peer, nonces[which], "garbage"))
        elif step == "renew":
            self.quietly(peer.ask(Reauthenticate, {"ticket": self.tickets.make(), "proof": b"p"}))
        elif step == "call":
            self.quietly(peer.ask(Add, {"left": 1, "right": 1}))
        elif step == "wait":
            self.quietly(peer.ask(Wait, {"name": "w"}))
        elif step == "stop":
            self.quietly(peer.ask(Stop, {}))
        elif step == "answer":
            for room in self.avatars.rooms:
                for waiting in room.waiting.values():
                    if not waiting.called:
                        waiting.callback(None)
        elif step == "stranger":
            self.quietly(peer.ask(Ping, {}))
        elif step == "unknown":
            self.quietly(peer.ask(Absent, {}))
        elif step == "push":
            peer.push(Note, {"text": "n"})
            peer.push(Heartbeat, {})
        elif step == "goodbye":
            peer.push(Goodbye, {"code": "OK", "message": "bye"})
            peer.close()
        elif step == "garbage":
            peer.write_box(b"GET / HTTP/1.1\r\n\r\n")
        elif step == "noise":
            peer.write_box(serialise({b"_command": b"Hello", b"_ask": b"", b"protocol": b"\xff"}))
            peer.write_box(serialise({b"_error": b"7"}))
        elif step == "large":
            peer.write_box(serialise({b"a%d" % n: b"x" * 60_000 for n in range(3)}))
        elif step == "drop":
            self.network.drop()
        elif step == "hang":
            for link in self.network.connections():
                link.hang()
        elif step == "revoke":
            self.factory.revoke(lambda identity: identity.account == "ann")
        elif step == "seconds":
            self.clock.advance(7.0)
        elif step == "minutes":
            self.clock.advance(200.0)

    def quietly(self, asked: Deferred[dict[str, object]], nonces: list[bytes] | None = None, which: int = 0) -> None:
        """Keep the nonce of an answer; errors are expected here."""

        def answered(values: dict[str, object]) -> None:
            nonce = values.get("nonce")
            if nonces is not None and isinstance(nonce, bytes):
                nonces[which] = nonce

        asked.addCallbacks(answered, lambda _: None)
