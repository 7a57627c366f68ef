"""Tickets and proofs."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spire.testing.clock import OPENING, ManualClock
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import NotAuthenticated
from spire.wire.interfaces import ITicketSource, ITicketVerifier
from spire.wire.tickets import (
    Claims,
    TicketKey,
    check_proof,
    issue,
    load_key,
    make_key,
    private_bytes,
    proof_message,
    public_bytes,
    read,
    sign_proof,
    verify,
)
from tests.wire.support import Tickets

SIGNING = TicketKey(key_id="k1", private=make_key(lambda n: b"s" * n))
KEYS = {"k1": public_bytes(SIGNING.private)}
CLAIMS = Claims(
    account_id=7,
    account="ann",
    delegate_id=3,
    delegate="web_portal_service",
    audiences=("uid_service", "definitions_service"),
    environment=Environment.DEMO,
    roles=frozenset({"trader", "manager"}),
    capabilities=frozenset({"market_data.all"}),
    login_session="login-1",
    key=public_bytes(make_key(lambda n: b"h" * n)),
    issued=OPENING,
    expires=Timestamp(OPENING + 300 * NANOSECONDS),
)


class TicketTests(SynchronousTestCase):
    """A ticket says what was signed, or nothing."""

    def test_claims_come_back(self) -> None:
        """Every one of them."""
        self.assertEqual(verify(issue(CLAIMS, SIGNING), KEYS, "uid_service", Environment.DEMO, OPENING), CLAIMS)

    def test_the_identity_is_the_claims(self) -> None:
        """What sessions see."""
        identity = CLAIMS.identity()
        self.assertEqual(
            (identity.account, identity.delegate, identity.expires), ("ann", "web_portal_service", CLAIMS.expires)
        )
        self.assertTrue(identity.holds("market_data.all"))
        self.assertFalse(identity.holds("market_data.publish"))

    def test_an_expired_ticket_can_still_be_read(self) -> None:
        """The Locator renews those too."""
        ticket = issue(CLAIMS, SIGNING)
        late = Timestamp(OPENING + 3_600 * NANOSECONDS)
        self.assertRaises(NotAuthenticated, verify, ticket, KEYS, "uid_service", Environment.DEMO, late)
        self.assertEqual(read(ticket, KEYS).login_session, "login-1")

    def test_it_holds_until_the_second_of_its_expiry(self) -> None:
        """And not in it."""
        ticket = issue(CLAIMS, SIGNING)
        last = Timestamp(CLAIMS.expires - 1)
        self.assertEqual(verify(ticket, KEYS, "uid_service", Environment.DEMO, last), CLAIMS)
        self.assertRaises(NotAuthenticated, verify, ticket, KEYS, "uid_service", Environment.DEMO, CLAIMS.expires)

    def test_a_symmetric_signature_with_the_public_key_is_refused(self) -> None:
        """The old trick of taking the public key for a shared secret."""
        import jwt

        forged = jwt.encode(
            {"sub": "root", "aud": ["uid_service"]}, KEYS["k1"], algorithm="HS256", headers={"kid": "k1"}
        )
        self.assertRaises(NotAuthenticated, read, forged, KEYS)

    @settings(max_examples=60)
    @given(position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
    def test_no_changed_character_passes_as_another_claim(self, position: int, flip: int) -> None:
        """A damaged ticket is refused, or reads exactly as it was."""
        ticket = issue(CLAIMS, SIGNING)
        place = position % len(ticket)
        changed = ticket[:place] + chr(ord(ticket[place]) ^ flip) + ticket[place + 1 :]
        try:
            claims = read(changed, KEYS)
        except NotAuthenticated:
            return
        self.assertEqual(claims, CLAIMS)

    def test_neither_ticket_nor_key_shows_in_a_repr(self) -> None:
        """What is logged by mistake is of no use."""
        held = self.successResultOf(Tickets(ManualClock()).ticket())
        self.assertNotIn(held.ticket, repr(held))
        self.assertNotIn("Ed25519", repr(SIGNING))

    def test_parts_keep_their_interfaces(self) -> None:
        """What is handed about is what it says."""
        tickets = Tickets(ManualClock())
        verifyObject(ITicketSource, tickets)
        verifyObject(ITicketVerifier, tickets.verifier())


class ProofTests(SynchronousTestCase):
    """A proof is for one nonce of one instance of one service."""

    KEY = make_key(lambda n: b"h" * n)

    def refused(self, proof: bytes, service: str, instance: str, nonce: bytes) -> None:
        """Assert that `proof` does not hold there."""
        self.assertRaises(NotAuthenticated, check_proof, public_bytes(self.KEY), proof, service, instance, nonce)

    def test_it_holds_where_it_was_made_for_and_nowhere_else(self) -> None:
        """Service, instance and nonce all count."""
        proof = sign_proof(self.KEY, "uid_service", "i1", b"n1")
        check_proof(public_bytes(self.KEY), proof, "uid_service", "i1", b"n1")
        self.refused(proof, "definitions_service", "i1", b"n1")
        self.refused(proof, "uid_service", "i2", b"n1")
        self.refused(proof, "uid_service", "i1", b"n2")
        self.refused(b"", "uid_service", "i1", b"n1")

    @settings(max_examples=80)
    @given(
        one=st.tuples(st.text(max_size=4), st.text(max_size=4), st.binary(max_size=4)),
        two=st.tuples(st.text(max_size=4), st.text(max_size=4), st.binary(max_size=4)),
    )
    def test_no_two_places_share_a_message(self, one: tuple[str, str, bytes], two: tuple[str, str, bytes]) -> None:
        """Moving a character from one part to the next makes another message."""
        self.assertEqual(proof_message(*one) == proof_message(*two), one == two)

    def test_keys_come_back_from_their_bytes(self) -> None:
        """A shell caches 32 bytes."""
        self.assertEqual(public_bytes(load_key(private_bytes(self.KEY))), public_bytes(self.KEY))
        self.assertRaises(ValueError, load_key, b"short")
