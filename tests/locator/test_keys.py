"""The signing key in its file, and tickets for every service."""

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spire.locator.keys import (
    PLATFORM_SERVICES,
    BelievedKeys,
    KeyRing,
    load_or_make,
    renewal_holds,
    renewal_message,
    signing_key,
    write_key,
)
from spire.locator.values import LoginSession, SigningKey
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Unavailable
from spire.wire.tickets import make_key, private_bytes, public_bytes, read
from tests.locator.places import TESS, demo

KEY = make_key(lambda size: b"\x01" * size)
HOLDER = make_key(lambda size: b"\x02" * size)
NOW = Timestamp(1_000_000 * NANOSECONDS)
PLACE = {"service": "service_locator", "instance_id": "i1", "nonce": b"n" * 32, "session": "s1"}


def session(*audiences: str) -> LoginSession:
    """Return a login session with these audiences."""
    return LoginSession(
        login_session="s1",
        account_id=TESS,
        public_key=public_bytes(HOLDER),
        audiences=audiences,
        opened=NOW,
        last_used=NOW,
        peer="10.0.0.7",
    )


class FileTests(SynchronousTestCase):
    """The private half stands in a file that only its owner reads."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="spire-keys-")
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "secrets" / "signing_key"

    def test_the_first_start_makes_it(self) -> None:
        """With mode 600, and the second start reads the same."""
        made = load_or_make(self.file, lambda size: b"\x07" * size)
        again = load_or_make(self.file, lambda size: b"\x08" * size)
        self.assertEqual(private_bytes(made), private_bytes(again))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_a_file_that_others_can_read_is_refused(self) -> None:
        """Start says so instead of signing with a key that may be known."""
        write_key(self.file, KEY)
        self.file.chmod(0o640)
        error = self.assertRaises(ValueError, load_or_make, self.file, bytes)
        self.assertIn("640", str(error))

    def test_a_file_without_a_key_is_refused(self) -> None:
        """It is not overwritten."""
        write_key(self.file, KEY)
        self.file.write_text("no key\n")
        error = self.assertRaises(ValueError, load_or_make, self.file, bytes)
        self.assertIn("64 hexadecimal digits", str(error))
        self.assertEqual(self.file.read_text(), "no key\n")

    def test_writing_again_replaces_it_whole(self) -> None:
        """Another key is in it, and nothing else is left beside it."""
        write_key(self.file, KEY)
        write_key(self.file, HOLDER)
        self.assertEqual(private_bytes(load_or_make(self.file, bytes)), private_bytes(HOLDER))
        self.assertEqual([file.name for file in self.file.parent.iterdir()], ["signing_key"])


class KeyRingTests(SynchronousTestCase):
    """Tickets are signed with the key in force."""

    def issue(self, ring: KeyRing, login: LoginSession, **more: object) -> str:
        """Sign a ticket of the trader."""
        ticket, _ = ring.issue(
            login,
            account=demo().entry(TESS),
            delegate=None,
            roles=frozenset(),
            capabilities=frozenset(),
            now=NOW,
            **more,  # type: ignore[arg-type]
        )
        return ticket

    def test_without_a_key_nothing_is_signed(self) -> None:
        """A Locator that has not loaded yet is UNAVAILABLE."""
        self.assertRaises(Unavailable, self.issue, KeyRing(environment=Environment.DEMO), session("*"))

    def test_the_star_stands_for_every_service(self) -> None:
        """The platform's own and those that are registered."""
        ring = KeyRing(environment=Environment.DEMO)
        ring.use(KEY)
        key = signing_key(KEY, NOW)
        claims = read(self.issue(ring, session("*"), services=("own_service",)), {key.key_id: key.public_key})
        self.assertEqual(set(claims.audiences), {*PLATFORM_SERVICES, "own_service"})

    def test_named_audiences_stay_as_they_are(self) -> None:
        """A ticket can be for one service alone."""
        ring = KeyRing(environment=Environment.DEMO)
        ring.use(KEY)
        key = signing_key(KEY, NOW)
        claims = read(self.issue(ring, session("uid_service")), {key.key_id: key.public_key})
        self.assertEqual(claims.audiences, ("uid_service",))


class BelievedKeysTests(SynchronousTestCase):
    """A retired key is as unknown as any other."""

    def test_a_key_is_believed_until_it_retires(self) -> None:
        """Look-up, membership and length agree."""
        now = [Timestamp(5)]
        rows = {"k": SigningKey(key_id="k", public_key=b"p" * 32, created=Timestamp(0), retires=Timestamp(10))}
        keys = BelievedKeys(lambda: rows, lambda: now[0])
        self.assertEqual((keys.get("k"), "k" in keys, len(keys), list(keys)), (b"p" * 32, True, 1, ["k"]))
        now[0] = Timestamp(10)
        self.assertEqual((keys.get("k"), "k" in keys, len(keys), list(keys)), (None, False, 0, []))


class RenewalProofTests(SynchronousTestCase):
    """A renewal is proved for one session on one connection."""

    def test_the_right_proof_holds(self) -> None:
        """Signed by the session's key over all four parts."""
        self.assertTrue(renewal_holds(public_bytes(HOLDER), HOLDER.sign(renewal_message(**PLACE)), **PLACE))

    def test_another_service_instance_nonce_or_session_does_not(self) -> None:
        """Each part counts."""
        proof = HOLDER.sign(renewal_message(**PLACE))
        changed = [{**PLACE, name: b"x" if name == "nonce" else "x"} for name in PLACE]
        self.assertEqual([renewal_holds(public_bytes(HOLDER), proof, **place) for place in changed], [False] * 4)

    def test_parts_cannot_be_shifted_into_each_other(self) -> None:
        """Their lengths are signed too."""
        moved = {**PLACE, "service": "service_locatori", "instance_id": "1"}
        self.assertFalse(renewal_holds(public_bytes(HOLDER), HOLDER.sign(renewal_message(**PLACE)), **moved))

    def test_rubbish_does_not_hold(self) -> None:
        """Neither as key nor as proof."""
        self.assertFalse(renewal_holds(b"short", b"short", **PLACE))
        self.assertFalse(renewal_holds(public_bytes(HOLDER), b"", **PLACE))
