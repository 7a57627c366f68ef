"""Who may see what, by capability and by grant."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spire.locator.directory import Directory
from spire.locator.values import AccountKind, Entry, Kind
from spire.marketdata.values import RecordType
from spire.relay.rights import READ_ALL, Rights
from spire.values.codes import Venue
from spire.values.time import Timestamp
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity

XNYS = Venue("XNYS")
ADA, RELAY = 7, 8
BAC = 1


def identity(account_id: int = ADA, **terms: Any) -> Identity:
    """Return somebody who is logged in."""
    given = {"account_id": account_id, "account": "ada", "expires": Timestamp(1), "roles": frozenset({"trader"})}
    return Identity(**{**given, **terms})


def account(entry_id: int, *capabilities: str) -> Entry:
    """Return an account of the directory."""
    return Entry(
        entry_id=entry_id,
        kind=Kind.ACCOUNT,
        name=f"account {entry_id}",
        parents=(1,),
        account_kind=AccountKind.PERSON,
        capabilities=capabilities,
    )


class RightsTests(SynchronousTestCase):
    """One instrument, listed in New York; the test says which grants there are."""

    def setUp(self) -> None:
        """Make them."""
        self.directory = Directory([account(ADA)])
        self.granted: set[tuple[int, Venue, RecordType]] = set()
        self.noted: list[tuple[int, Venue, RecordType]] = []
        self.rights = Rights(
            directory=self.directory,
            allows=lambda *asked: asked in self.granted,
            venue_of=self.venue_of,
            note=lambda *use: self.noted.append(use),
        )

    def venue_of(self, instrument: int) -> Venue:
        """Answer as Definitions does."""
        if instrument != BAC:
            raise NotFound(f"There is no instrument {instrument}.")
        return XNYS

    def refused(self, who: Identity, record_type: RecordType = RecordType.TRADE) -> bool:
        """Return whether somebody is refused."""
        return self.rights.refusal(who, BAC, record_type) is not None

    def test_a_grant_of_venue_and_type_lets_through(self) -> None:
        """And nothing else does."""
        self.assertTrue(self.refused(identity()))
        self.granted.add((ADA, XNYS, RecordType.BBO))
        self.assertFalse(self.refused(identity(), RecordType.BBO))
        self.assertTrue(self.refused(identity(), RecordType.TRADE))

    def test_the_capability_must_stand_in_the_ticket_and_in_the_directory(self) -> None:
        """A right that was withdrawn ends before the ticket does."""
        able = identity(capabilities=frozenset({READ_ALL}))
        self.assertTrue(self.refused(able))
        self.directory.put(account(ADA, READ_ALL))
        self.assertFalse(self.refused(able))
        self.assertTrue(self.refused(identity()))

    def test_an_account_that_the_directory_does_not_know_yet_has_lost_nothing(self) -> None:
        """Its ticket was signed a moment ago."""
        self.assertFalse(self.refused(identity(99, capabilities=frozenset({READ_ALL}))))

    def test_who_acts_for_an_account_sees_what_that_account_sees(self) -> None:
        """The portal's own rights do not count, and the use is the account's."""
        self.directory.put(account(RELAY, READ_ALL))
        delegated = identity(delegate_id=RELAY, delegate="web_portal_service")
        self.assertTrue(self.refused(delegated))
        self.granted.add((ADA, XNYS, RecordType.TRADE))
        self.assertFalse(self.refused(delegated))
        self.assertEqual(self.noted, [(ADA, XNYS, RecordType.TRADE)])

    def test_a_refusal_says_of_what(self) -> None:
        """For people in its text, for programs in its details."""
        error = self.rights.refusal(identity(), BAC, RecordType.BOOK)
        assert error is not None
        self.assertEqual(error.details, {"venue": "XNYS", "type": "BOOK"})
        self.assertIn("ada is not entitled to BOOK of XNYS", error.message)

    def test_uses_of_people_are_noted_and_refusals_and_services_are_not(self) -> None:
        """Exchanges ask for subscribers, not for servers."""
        self.refused(identity())
        self.granted.add((ADA, XNYS, RecordType.TRADE))
        self.refused(identity(roles=frozenset({"service"})))
        self.assertEqual(self.noted, [])
        self.refused(identity())
        self.assertEqual(self.noted, [(ADA, XNYS, RecordType.TRADE)])

    def test_of_several_types_those_are_returned_that_may_be_seen(self) -> None:
        """None of them is a refusal that names them all."""
        with self.assertRaises(Forbidden) as caught:
            self.rights.visible(identity(), BAC, tuple(RecordType))
        self.assertEqual(caught.exception.details["type"], "TRADE,BBO,BOOK")
        self.granted.add((ADA, XNYS, RecordType.BOOK))
        self.assertEqual(self.rights.visible(identity(), BAC, tuple(RecordType)), {RecordType.BOOK})

    def test_an_unknown_instrument_is_not_found(self) -> None:
        """Before anything is said of rights."""
        self.assertRaises(NotFound, self.rights.refusal, identity(), 2, RecordType.TRADE)
