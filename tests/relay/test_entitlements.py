"""Who may see what through a relay: asked at every call, and withdrawn from what is open."""

from datetime import date
from typing import Any

from twisted.internet.defer import Deferred

from spire.marketdata.codecs import CODECS
from spire.marketdata.values import RecordType
from spire.relay import pages
from spire.series.loads import load
from spire.series.query import Query
from spire.testing.clock import OPENING
from spire.values.orders import BookSide
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import Forbidden, NotFound
from tests.relay.room import BAC, NEEDS_GRANTS, SEES_ALL, Recorder, RelayRoomTestCase, quotes, row, trades

TRADES = CODECS[RecordType.TRADE]


class EntitlementTestCase(RelayRoomTestCase):
    """A person who needs grants, and a market with a bit of everything."""

    def setUp(self) -> None:
        """Publish, and log in."""
        super().setUp()
        self.market = self.feed()
        self.publish(self.market, trades=trades([BAC] * 5, start_time=1), bbos=quotes([BAC]))
        self.publish(self.market, books=row(BAC, BookSide.BID, 10, 5))
        self.person = self.client(NEEDS_GRANTS)

    def more(self) -> None:
        """Publish another print and quote."""
        self.publish(self.market, trades=trades([BAC], start_time=2_000), bbos=quotes([BAC], start_time=2_000))

    def codes(self, recorder: Recorder) -> list[str]:
        """Return the codes of a stream's errors."""
        return [error.coded for error in recorder.errors]


class WithoutGrantTests(EntitlementTestCase):
    """Refused, and never an empty answer."""

    def test_every_stream_is_forbidden(self) -> None:
        """With a text that says of what, and who can help."""
        for record_type in RecordType:
            recorder = self.follow(self.person, record_type)
            self.assertEqual(self.codes(recorder), ["FORBIDDEN"])
            self.assertIn(f"{record_type.name} of XNYS", recorder.errors[0].message)
        self.assertEqual(self.relay.followed, ())

    def test_history_is_forbidden(self) -> None:
        """With venue and type for programs."""
        error = self.refusal(self.person.load(Query(topic="bbo/1")), Forbidden)
        self.assertEqual(error.details, {"venue": "XNYS", "type": "BBO"})

    def test_snapshot_and_last_records_are_forbidden(self) -> None:
        """With all types that might have been seen."""
        error = self.refusal(self.person.snapshot(BAC), Forbidden)
        self.assertEqual(error.details, {"venue": "XNYS", "type": "TRADE,BBO,BOOK"})
        error = self.refusal(self.person.last_records(BAC, date(2013, 10, 8)), Forbidden)
        self.assertEqual(error.details, {"venue": "XNYS", "type": "TRADE,BBO"})

    def test_an_unknown_instrument_is_not_found(self) -> None:
        """Whoever asks."""
        self.refusal(self.person.snapshot(4_000_000), NotFound)

    def test_feed_sessions_are_for_everybody(self) -> None:
        """Which markets are there is no secret."""
        markets = self.person.markets()
        self.platform.advance(0.5)
        self.assertFalse(markets.is_stale(8))

    def test_a_grant_of_another_venue_or_account_is_none(self) -> None:
        """It is the instrument's listing venue that counts, and the account that asks."""
        self.grant(listing_venue="XNAS")
        self.grant(account_id=self.link(SEES_ALL).login.account_id)
        self.refusal(self.person.load(Query(topic="trade/1")), Forbidden)


class GrantTests(EntitlementTestCase):
    """A grant works at once, and for what it names alone."""

    def test_streams_history_and_snapshots_work_at_once(self) -> None:
        """On the session that was refused before."""
        self.refusal(self.person.snapshot(BAC), Forbidden)
        self.grant()
        quotes_, prints = self.follow(self.person, RecordType.BBO), self.follow(self.person)
        self.more()
        self.assertEqual((quotes_.sequences, prints.sequences), ([2], [6]))
        self.assertEqual(len(self.run_(self.person.load(Query(topic="trade/1"))).records), 6)
        snapshot = self.run_(self.person.snapshot(BAC))
        self.assertEqual((snapshot.trade_through, snapshot.bbo_through, snapshot.book_through), (6, 2, 1))
        self.assertEqual((len(snapshot.trade), len(snapshot.bbo), len(snapshot.book)), (1, 1, 1))

    def test_a_grant_of_one_type_is_of_that_type_alone(self) -> None:
        """Others stay forbidden; a snapshot holds nothing and 0 for them."""
        self.grant(RecordType.BBO)
        self.assertEqual(self.codes(self.follow(self.person, RecordType.BBO)), [])
        self.assertEqual(self.codes(self.follow(self.person)), ["FORBIDDEN"])
        snapshot = self.run_(self.person.snapshot(BAC))
        self.assertEqual((len(snapshot.trade), len(snapshot.bbo), len(snapshot.book)), (0, 1, 0))
        self.assertEqual((snapshot.trade_through, snapshot.bbo_through, snapshot.book_through), (0, 1, 0))
        trade, bbo = self.run_(self.person.last_records(BAC, date(2013, 10, 8)))
        self.assertEqual((len(trade), len(bbo)), (0, 1))

    def test_a_snapshot_without_the_book_needs_a_grant_of_what_it_holds(self) -> None:
        """One of the book alone is none."""
        self.grant(RecordType.BOOK)
        self.assertEqual(len(self.run_(self.person.snapshot(BAC)).book), 1)
        error = self.refusal(self.person.snapshot(BAC, with_book=False), Forbidden)
        self.assertEqual(error.details, {"venue": "XNYS", "type": "TRADE,BBO"})

    def test_a_grant_of_every_venue_counts(self) -> None:
        """None in its terms is all of them."""
        self.grant(listing_venue=None)
        self.assertEqual(len(self.run_(self.person.load(Query(topic="trade/1"))).records), 5)

    def test_a_grant_that_begins_later_works_from_then_on(self) -> None:
        """By the clock, without a word from Administration."""
        self.grant(effective_from=Timestamp(self.clock.now() + 60 * NANOSECONDS))
        self.assertEqual(self.codes(self.follow(self.person)), ["FORBIDDEN"])
        self.platform.advance(61.0)
        self.assertEqual(self.codes(self.follow(self.person)), [])

    def test_while_administration_is_away_grants_hold(self) -> None:
        """As last received; the relay says what it misses."""
        self.grant()
        self.platform.stop("administration")
        self.platform.advance(1.0)
        recorder = self.follow(self.person)
        self.more()
        self.assertEqual(recorder.sequences, [6])
        self.assertIn("administration", str(self.platform.states()["market-data-relay"]))


class WithdrawalTests(EntitlementTestCase):
    """What is open ends at once."""

    def test_a_revoked_grant_ends_its_streams_at_once(self) -> None:
        """Those of others, and those of other grants, go on."""
        everything = self.grant(RecordType.TRADE)
        self.grant(RecordType.BBO)
        prints, quotes_ = self.follow(self.person), self.follow(self.person, RecordType.BBO)
        other = self.follow(self.client(SEES_ALL))
        self.revoke(everything)
        self.more()
        self.assertEqual((self.codes(prints), prints.sequences), (["FORBIDDEN"], []))
        self.assertEqual((self.codes(quotes_), quotes_.sequences), ([], [2]))
        self.assertEqual((self.codes(other), other.sequences), ([], [6]))
        self.refusal(self.person.load(Query(topic="trade/1")), Forbidden)
        self.assertEqual(self.run_(self.person.snapshot(BAC)).trade_through, 0)

    def test_an_expired_grant_ends_its_streams_at_once(self) -> None:
        """By the clock, without a word from Administration."""
        self.grant(effective_to=Timestamp(self.clock.now() + 60 * NANOSECONDS))
        recorder = self.follow(self.person)
        self.platform.advance(50.0)
        self.more()
        self.assertEqual((self.codes(recorder), recorder.sequences), ([], [6]))
        self.platform.advance(15.0)
        self.more()
        self.assertEqual((self.codes(recorder), recorder.sequences), (["FORBIDDEN"], [6]))

    def test_a_revoked_grant_stops_loads_under_way(self) -> None:
        """Between two pages."""
        self.patch(pages, "PAGE", 2)
        original, asked_for = self.relay.history.page, []

        async def page(*query: Any) -> Any:
            asked_for.append(query)
            if len(asked_for) == 2:
                await self.clock.sleep(5.0)
            return await original(*query)

        self.patch(self.relay.history, "page", page)
        grant = self.grant()
        asked: Deferred[Any] = Deferred.fromCoroutine(load(self.person.session, Query(topic="trade/1"), TRADES))
        self.platform.advance(1.0)
        self.assertEqual(len(asked_for), 2)
        self.revoke(grant)
        self.failureResultOf(asked, Forbidden)
        self.platform.advance(10.0)
        self.assertEqual(len(asked_for), 2)

    def hold_relay(self, is_held: bool) -> None:
        """Let nothing, or everything, that Market Data sends arrive."""
        for link in self.network.connections("market_data_service"):
            if is_held:
                link.server.hold()
            else:
                link.server.release()

    def test_a_grant_that_goes_while_a_topic_is_opened_opens_nothing(self) -> None:
        """It is asked again before the stream begins."""
        grant = self.grant()
        self.hold_relay(True)
        recorder = self.follow(self.person)
        snapshot = Deferred.fromCoroutine(self.person.snapshot(BAC))
        self.platform.advance(0.1)
        self.revoke(grant)
        self.hold_relay(False)
        self.platform.advance(1.0)
        self.assertEqual((self.codes(recorder), recorder.resets), (["FORBIDDEN"], []))
        self.failureResultOf(snapshot, Forbidden)

    def test_a_capability_that_is_withdrawn_ends_what_it_opened(self) -> None:
        """The session is closed, comes back without it, and may see nothing any more."""
        client = self.client(SEES_ALL)
        recorder = self.follow(client)
        entry = self.run_(self.link("administrator").calls.find(f"trading_groups/demo/traders/{SEES_ALL}"))
        self.run_(self.link("administrator").calls.set_capabilities(entry.entry_id, ()))
        self.platform.advance(10.0)
        self.more()
        self.assertEqual((self.codes(recorder), recorder.sequences), (["FORBIDDEN"], []))

    def test_what_was_withdrawn_may_be_granted_again(self) -> None:
        """On the same session."""
        self.revoke(self.grant())
        self.grant()
        recorder = self.follow(self.person)
        self.more()
        self.assertEqual(recorder.sequences, [6])


class UsageTestCase(EntitlementTestCase):
    """What Administration was told."""

    def uses(self, day: str) -> set[tuple[int, str, RecordType]]:
        """Return what Administration knows of a day."""
        found = self.run_(self.platform.administration_store.usage(day))
        return {(use.account_id, use.listing_venue, use.record_type) for use in found}


class UsageTests(UsageTestCase):
    """Who used what on which day is told to Administration once."""

    def test_people_are_told_of_and_services_are_not(self) -> None:
        """Whether they see it by a grant or by a capability; what was refused is no use."""
        self.refusal(self.person.load(Query(topic="trade/1")), Forbidden)
        self.grant(RecordType.BBO)
        self.follow(self.person, RecordType.BBO)
        self.follow(self.client(SEES_ALL))
        self.follow(self.client("charting_service"), RecordType.BOOK)
        self.platform.advance(31.0)
        accounts = {name: self.link(name).login.account_id for name in (NEEDS_GRANTS, SEES_ALL)}
        expected = {
            (accounts[NEEDS_GRANTS], "XNYS", RecordType.BBO),
            (accounts[SEES_ALL], "XNYS", RecordType.TRADE),
        }
        self.assertEqual(self.uses("2013-10-08"), expected)

    def test_it_waits_while_administration_is_away(self) -> None:
        """And is told when that is back."""
        self.platform.stop("administration")
        self.follow(self.client(SEES_ALL))
        self.platform.advance(70.0)
        self.assertEqual(self.uses("2013-10-08"), set())
        self.platform.start("administration")
        self.platform.advance(70.0)
        self.assertEqual(len(self.uses("2013-10-08")), 1)


class MidnightTests(UsageTestCase):
    """A day that ends."""

    beginning = Timestamp(OPENING + (10 * 3_600 + 29 * 60) * NANOSECONDS)

    def test_a_stream_that_goes_on_over_midnight_is_used_on_the_next_day_too(self) -> None:
        """Days are those of UTC."""
        self.follow(self.client(SEES_ALL))
        self.platform.advance(100.0)
        self.assertEqual([len(self.uses(day)) for day in ("2013-10-08", "2013-10-09")], [1, 1])


class MarketsTests(EntitlementTestCase):
    """The topic `feed_sessions` of a relay."""

    def setUp(self) -> None:
        """Follow it."""
        super().setUp()
        self.markets = self.person.markets()
        self.platform.advance(1.5)

    def test_it_has_the_relays_own_epoch(self) -> None:
        """So that a client that comes from another relay takes a fresh snapshot."""
        self.assertNotEqual(self.markets.view.epoch, self.market_data._markets._topic.epoch)
        self.assertEqual(set(self.markets.view.rows), {"8/trade", "8/bbo", "8/book"})

    def test_without_market_data_every_market_is_stale_after_five_seconds(self) -> None:
        """And fresh again afterwards; market time never goes back."""
        before = self.markets.market_time(8)
        self.lose_market_data()
        self.platform.advance(4.0)
        self.assertFalse(self.markets.is_stale(8))
        self.platform.advance(3.0)
        self.assertTrue(self.markets.is_stale(8))
        between = self.markets.market_time(8)
        self.assertEqual(self.markets.state(8, RecordType.BBO).name, "first")
        self.find_market_data()
        self.assertFalse(self.markets.is_stale(8))
        after = self.markets.market_time(8)
        assert before is not None
        assert between is not None
        assert after is not None
        self.assertLess(before, between)
        self.assertLess(between, after)

    def test_a_feed_that_ends_is_seen(self) -> None:
        """Rows are passed on as they change."""
        self.run_(self.market.end())
        self.platform.advance(1.0)
        state = self.markets.state(8, RecordType.TRADE)
        self.assertEqual((state.ended, state.stale), (True, True))
