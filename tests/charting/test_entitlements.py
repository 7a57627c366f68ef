"""Who may see candles: whoever may see the trades that they are made of, for as long as he may."""

from typing import Any

from spire.administration.client import AdministrationClient
from spire.administration.values import EntitlementGrant, GrantTerms
from spire.charting.codecs import CODEC
from spire.marketdata.values import RecordType
from spire.values.codes import Venue
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Forbidden
from tests.charting.room import ChartingRoomTestCase, Watcher, minutes, shape


class EntitlementTests(ChartingRoomTestCase):
    """A person who needs grants, who grants them to himself: he is the administrator."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.person = self.client("administrator")
        session = self.session("administration_service", "administrator")
        self.run_(session.when_ready(10.0))
        self.administration = AdministrationClient(session)
        self.prints((0, 14.00, 100))

    def grant(self, record_type: RecordType | None = RecordType.TRADE, **terms: Any) -> EntitlementGrant:
        """Entitle him to a type of the New York Stock Exchange."""
        account = self.run_(self.link("administrator").calls.find("administrators/administrator")).entry_id
        given = {"account_id": account, "product": "test", "listing_venue": Venue("XNYS"), "record_type": record_type}
        grant: EntitlementGrant = self.run_(self.administration.grant(GrantTerms(**{**given, **terms}), "a test"))
        self.platform.advance(0.2)
        return grant

    def follow(self) -> Watcher:
        """Follow the candles of a minute live."""
        watcher = Watcher()
        self.person.session.subscriptions.log(str(minutes()), watcher, codec=CODEC)
        self.platform.advance(0.5)
        return watcher

    def codes(self, watcher: Watcher) -> list[str]:
        """Return the codes of its errors."""
        return [error.coded for error in watcher.errors]

    def test_without_a_grant_of_trades_candles_are_forbidden(self) -> None:
        """Past and live, with venue and type; quotes are no help."""
        self.grant(RecordType.BBO)
        error = self.refusal(self.person.candles(minutes()), Forbidden)
        self.assertEqual(error.details, {"venue": "XNYS", "type": "TRADE"})
        self.assertEqual(self.codes(self.follow()), ["FORBIDDEN"])

    def test_a_grant_works_at_once(self) -> None:
        """Past and live, on the session that was refused before."""
        self.refusal(self.person.candles(minutes()), Forbidden)
        self.grant()
        self.assertEqual(len(self.run_(self.person.candles(minutes())).records), 1)
        watcher = self.follow()
        self.prints((0.5, 14.10, 50))
        self.assertEqual([shape(candle)[4] for candle in watcher.candles], [150])

    def test_a_revoked_grant_ends_candles_at_once(self) -> None:
        """Others go on with theirs."""
        grant = self.grant()
        watcher, other = self.follow(), Watcher()
        self.charting.session.subscriptions.log(str(minutes()), other, codec=CODEC)
        self.platform.advance(0.5)
        self.run_(self.administration.revoke(grant.grant_id, "a test"))
        self.platform.advance(0.2)
        self.prints((0.5, 14.10, 50))
        self.assertEqual((self.codes(watcher), watcher.candles), (["FORBIDDEN"], []))
        self.assertEqual(([shape(candle)[4] for candle in other.candles], other.errors), ([150], []))
        self.refusal(self.person.candles(minutes()), Forbidden)

    def test_an_expired_grant_ends_candles_at_once(self) -> None:
        """By the clock."""
        self.grant(effective_to=Timestamp(self.clock.now() + 60 * NANOSECONDS))
        watcher = self.follow()
        self.platform.advance(50.0)
        self.assertEqual(self.codes(watcher), [])
        self.platform.advance(15.0)
        self.assertEqual(self.codes(watcher), ["FORBIDDEN"])

    def test_charting_tells_who_used_what(self) -> None:
        """Candles are a use of trades; the relay's client is a service, and none."""
        self.grant()
        self.run_(self.person.candles(minutes()))
        self.platform.advance(31.0)
        uses = self.run_(self.platform.administration_store.usage("2013-10-08"))
        account = self.run_(self.link("administrator").calls.find("administrators/administrator")).entry_id
        self.assertEqual(
            [(use.account_id, use.listing_venue, use.record_type) for use in uses],
            [(account, "XNYS", RecordType.TRADE)],
        )
