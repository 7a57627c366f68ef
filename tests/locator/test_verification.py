"""Tickets and proofs that hold, and all that do not."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.directory import has_lost_rights
from spire.locator.keys import signing_key
from spire.locator.values import Revocation, SigningKey
from spire.locator.verification import DirectoryVerifier
from spire.testing.clock import ManualClock
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import NotAuthenticated
from spire.wire.tickets import Claims, TicketKey, issue, make_key, public_bytes, sign_proof
from tests.locator.places import TESS, UID, demo

SIGNER = make_key(lambda size: b"\x01" * size)
STRANGER = make_key(lambda size: b"\x02" * size)
HOLDER = make_key(lambda size: b"\x03" * size)
NONCE = b"n" * 32


class VerifierTests(SynchronousTestCase):
    """Only a whole, current, own ticket with a fresh proof gets in."""

    def setUp(self) -> None:
        self.clock = ManualClock()
        self.directory = demo()
        self.revocations: dict[str, Revocation] = {}
        key = signing_key(SIGNER, self.clock.now())
        self.keys: dict[str, SigningKey] = {key.key_id: key}
        self.key_id = key.key_id
        self.verifier = DirectoryVerifier(
            keys=lambda: self.keys,
            revocations=lambda: self.revocations,
            directory=self.directory,
            environment=Environment.DEMO,
            clock=self.clock,
        )
        now = self.clock.now()
        self.claims = Claims(
            account_id=TESS,
            account="tess",
            audiences=("uid_service",),
            environment=Environment.DEMO,
            roles=frozenset({"trader"}),
            login_session="s1",
            key=public_bytes(HOLDER),
            issued=now,
            expires=Timestamp(now + 300 * NANOSECONDS),
        )

    def verify(self, ticket: str | None = None, proof: bytes | None = None, service: str = "uid_service"):  # type: ignore[no-untyped-def]
        """Verify a ticket, by default the good one with a good proof."""
        if ticket is None:
            ticket = self.ticket()
        if proof is None:
            proof = sign_proof(HOLDER, service, "i1", NONCE)
        return self.verifier.verify(ticket, proof, service, "i1", NONCE)

    def ticket(self, **changes: object) -> str:
        """Return the good ticket with changed claims."""
        return issue(evolve(self.claims, **changes), TicketKey(key_id=self.key_id, private=SIGNER))

    def refused(self, *arguments: object, **more: object) -> str:
        """Return why it is refused."""
        return self.assertRaises(NotAuthenticated, self.verify, *arguments, **more).message

    def test_a_good_ticket_names_its_holder(self) -> None:
        """Account, role and login session."""
        identity = self.verify()
        self.assertEqual((identity.account, identity.roles, identity.login_session), ("tess", {"trader"}, "s1"))

    def test_an_expired_ticket_is_refused(self) -> None:
        """To the second."""
        ticket = self.ticket()
        self.clock.advance(299)
        self.verify(ticket)
        self.clock.advance(1)
        self.assertIn("expired", self.refused(ticket))

    def test_a_forged_ticket_is_refused(self) -> None:
        """Signed by another key under the name of the Locator's."""
        forged = issue(self.claims, TicketKey(key_id=self.key_id, private=STRANGER))
        self.assertIn("not one that the Service Locator signed", self.refused(forged))

    def test_a_ticket_of_an_unknown_key_is_refused(self) -> None:
        """A Locator that is not ours."""
        foreign = issue(self.claims, TicketKey(key_id="other", private=STRANGER))
        self.assertIn("not known here", self.refused(foreign))

    def test_a_tampered_ticket_is_refused(self) -> None:
        """One letter of the claims is enough."""
        header, claims, signature = self.ticket().split(".")
        changed = claims[:-2] + ("A" if claims[-2] != "A" else "B") + claims[-1]
        self.refused(f"{header}.{changed}.{signature}")

    def test_an_unsigned_ticket_is_refused(self) -> None:
        """The algorithm is not the sender's choice."""
        _, claims, _ = self.ticket().split(".")
        header = "eyJhbGciOiJub25lIiwia2lkIjoia2V5In0"
        self.refused(f"{header}.{claims}.")

    def test_rubbish_is_refused(self) -> None:
        """Whatever stands where a ticket should be."""
        for rubbish in ("", "a", "a.b.c", "\x00" * 100, "é.é.é"):
            self.refused(rubbish)

    def test_a_ticket_for_another_service_is_refused(self) -> None:
        """It must name this one among its audiences."""
        self.assertIn("not for", self.refused(self.ticket(audiences=("charting_service",))))

    def test_a_ticket_of_another_environment_is_refused(self) -> None:
        """A demo never meets production."""
        self.assertIn("PRODUCTION", self.refused(self.ticket(environment=Environment.PRODUCTION)))

    def test_a_stolen_ticket_is_refused(self) -> None:
        """Without the key that it names it is worth nothing."""
        self.assertIn("proof", self.refused(proof=sign_proof(STRANGER, "uid_service", "i1", NONCE)))

    def test_a_replayed_proof_is_refused(self) -> None:
        """A proof for another connection, another instance or another service does not fit here."""
        for proof in (
            sign_proof(HOLDER, "uid_service", "i1", b"m" * 32),
            sign_proof(HOLDER, "uid_service", "i2", NONCE),
            sign_proof(HOLDER, "charting_service", "i1", NONCE),
        ):
            self.assertIn("proof", self.refused(proof=proof))

    def test_a_ticket_of_an_ended_login_is_refused(self) -> None:
        """As soon as the revocation is here."""
        self.revocations["s1"] = Revocation(
            login_session="s1", account_id=TESS, ended=self.clock.now(), reason="logged out"
        )
        self.assertIn("withdrawn", self.refused())

    def test_a_disabled_accounts_ticket_is_refused(self) -> None:
        """As soon as the directory says so."""
        self.directory.put(evolve(self.directory.entry(TESS), disabled=True))
        self.assertIn("withdrawn", self.refused())

    def test_a_ticket_through_an_account_that_may_log_nobody_in_any_more_is_refused(self) -> None:
        """The portal lost `login.for`; with it, or not shown yet, it may."""
        self.directory.put(evolve(self.directory.entry(UID), capabilities=("login.for",)))
        ticket = self.ticket(delegate_id=UID, delegate="uid_service")
        self.assertEqual(self.verify(ticket).delegate_id, UID)
        self.verify(self.ticket(delegate_id=999, delegate="new_portal"))
        self.directory.put(evolve(self.directory.entry(UID), capabilities=()))
        self.assertIn("withdrawn", self.refused(ticket))

    def test_a_retired_keys_tickets_are_refused(self) -> None:
        """From the time on that is set."""
        ticket = self.ticket()
        self.keys[self.key_id] = evolve(self.keys[self.key_id], retires=Timestamp(self.clock.now() + NANOSECONDS))
        self.verify(ticket)
        self.clock.advance(1)
        self.refused(ticket)

    def test_a_withdrawn_role_is_not_in_the_identity(self) -> None:
        """The ticket still names it; the directory does not give it any more."""
        self.assertEqual(self.verify(self.ticket(roles=frozenset({"trader", "administrator"}))).roles, {"trader"})

    def test_a_withdrawn_capability_is_not_in_the_identity(self) -> None:
        """Only what both give counts."""
        self.directory.put(evolve(self.directory.entry(TESS), capabilities=("a", "b")))
        ticket = self.ticket(capabilities=frozenset({"b", "c"}))
        self.assertEqual(self.verify(ticket).capabilities, {"b"})

    def test_an_account_that_is_not_shown_yet_keeps_its_tickets_rights(self) -> None:
        """It was made a moment ago; the row is on its way."""
        self.assertEqual(self.verify(self.ticket(account_id=999)).roles, {"trader"})


class LostRightsTests(SynchronousTestCase):
    """An open session is cut when its identity names what its account no longer has."""

    def setUp(self) -> None:
        self.directory = demo()
        self.claims = Claims(
            account_id=TESS,
            account="tess",
            audiences=("uid_service",),
            environment=Environment.DEMO,
            roles=frozenset({"trader"}),
            login_session="s1",
            key=b"",
            issued=Timestamp(0),
            expires=Timestamp(1),
        )

    def lost(self, **changes: object) -> bool:
        """Whether an identity has lost rights."""
        return has_lost_rights(self.directory, evolve(self.claims, **changes).identity())

    def test_what_the_directory_gives_is_not_lost(self) -> None:
        """Less than it gives is no loss either."""
        self.assertEqual((self.lost(), self.lost(roles=frozenset())), (False, False))

    def test_a_role_or_capability_that_is_gone_is_lost(self) -> None:
        """Each of them."""
        self.assertTrue(self.lost(roles=frozenset({"trader", "manager"})))
        self.assertTrue(self.lost(capabilities=frozenset({"market_data.all"})))

    def test_a_disabled_account_or_delegate_is_lost(self) -> None:
        """Either end of a delegation."""
        self.directory.put(evolve(self.directory.entry(TESS), disabled=True))
        self.assertTrue(self.lost(roles=frozenset()))
        self.assertTrue(self.lost(account_id=24, account="max", roles=frozenset(), delegate_id=TESS, delegate="tess"))

    def test_a_delegate_that_may_log_nobody_in_any_more_is_lost(self) -> None:
        """Whoever acts through it goes with its capability `login.for`."""
        self.directory.put(evolve(self.directory.entry(UID), capabilities=("login.for",)))
        self.assertFalse(self.lost(delegate_id=UID, delegate="uid_service"))
        self.directory.put(evolve(self.directory.entry(UID), capabilities=("uid.reserve",)))
        self.assertTrue(self.lost(delegate_id=UID, delegate="uid_service"))

    def test_an_unknown_account_has_lost_nothing(self) -> None:
        """Its row is on its way."""
        self.assertFalse(self.lost(account_id=999))
