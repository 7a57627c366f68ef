"""Tests of feed sessions: one for each market, positions, primary recordings."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.feed_session import FeedSessions, Place
from spire.marketdata.values import RecordType, ServedMarket
from spire.values.environment import Environment, FeedKind
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound
from tests.marketdata.records import VENUE, opening, session

NOW = Timestamp(99)
TRADES = ServedMarket(venue=VENUE, record_type=RecordType.TRADE)
QUOTES = ServedMarket(venue=VENUE, record_type=RecordType.BBO)


class OpeningTests(SynchronousTestCase):
    """Who may serve a market."""

    def setUp(self) -> None:
        """Begin with one open feed session."""
        self.sessions = FeedSessions(Environment.DEMO)
        plan = self.sessions.plan(opening(), (), NOW)
        self.sessions.put(plan.session)

    def test_a_new_name_gets_the_next_id(self) -> None:
        """Ids count up."""
        plan = self.sessions.plan(
            opening("other", serves=(ServedMarket(venue=99, record_type=RecordType.BBO),)), [1], NOW
        )
        self.assertEqual((plan.session.feed_session_id, plan.is_new, plan.ends), (2, True, ()))

    def test_an_unfinished_name_goes_on(self) -> None:
        """With its position."""
        self.sessions.move(1, 500)
        plan = self.sessions.plan(opening(), [1], NOW)
        self.assertEqual((plan.is_new, plan.session.position), (False, 500))

    def test_a_second_feed_of_a_market_is_a_conflict_while_the_first_is_connected(self) -> None:
        """One of the markets is enough."""
        self.assertRaises(Conflict, self.sessions.plan, opening("other", serves=(TRADES,)), [1], NOW)

    def test_a_second_feed_ends_a_first_that_is_away(self) -> None:
        """It takes the market over."""
        plan = self.sessions.plan(opening("other", serves=(TRADES,)), [], NOW)
        self.assertEqual(plan.ends, (1,))

    def test_the_name_of_another_account_is_a_conflict(self) -> None:
        """Nobody takes over a stranger's session."""
        self.assertRaises(Conflict, self.sessions.plan, opening(account_id=6), [], NOW)

    def test_an_unfinished_session_keeps_its_terms(self) -> None:
        """Another trade date needs another name."""
        self.assertRaises(Invalid, self.sessions.plan, opening(trade_date="2013-10-09"), [], NOW)

    def test_an_ended_name_is_free(self) -> None:
        """Replaying a day twice is two feed sessions."""
        self.sessions.end(1, NOW)
        plan = self.sessions.plan(opening(), [], NOW)
        self.assertEqual((plan.session.feed_session_id, plan.is_new), (2, True))

    def test_another_environment_is_invalid(self) -> None:
        """A mismatch refuses the feed."""
        self.assertRaises(Invalid, self.sessions.plan, opening("x", environment=Environment.PAPER), [], NOW)

    def test_a_session_needs_a_name_that_the_store_can_keep(self) -> None:
        """And something to serve."""
        self.assertRaises(Invalid, self.sessions.plan, opening(""), [], NOW)
        self.assertRaises(Invalid, self.sessions.plan, opening("x" * 101), [], NOW)
        self.assertRaises(Invalid, self.sessions.plan, opening("x", serves=()), [], NOW)

    def test_production_refuses_a_replay(self) -> None:
        """It takes LIVE feeds only."""
        production = FeedSessions(Environment.PRODUCTION)
        asked = opening(environment=Environment.PRODUCTION)
        self.assertRaises(Forbidden, production.plan, asked, [], NOW)
        self.assertRaises(Forbidden, production.plan, evolve(asked, kind=FeedKind.SIMULATED), [], NOW)
        self.assertTrue(production.plan(evolve(asked, kind=FeedKind.LIVE), [], NOW).is_new)

    def test_a_forgotten_opening_gives_the_market_back(self) -> None:
        """The session that served it before is current again."""
        self.sessions.put(session(2))
        self.sessions.forget(2)
        self.assertEqual(self.sessions.current[TRADES], 1)
        self.assertRaises(NotFound, self.sessions.get, 2)


class PositionTests(SynchronousTestCase):
    """Batches are told apart by position alone."""

    def setUp(self) -> None:
        """Begin at position 10."""
        self.sessions = FeedSessions(Environment.DEMO)
        self.sessions.put(session(1, position=10))

    def test_the_next_position_is_next(self) -> None:
        """However long the batch is."""
        self.assertIs(self.sessions.place(1, 11, 5), Place.NEXT)

    def test_what_was_accepted_is_a_repeat(self) -> None:
        """Also when it was cut differently."""
        self.assertIs(self.sessions.place(1, 3, 8), Place.REPEATED)

    def test_a_gap_is_refused_with_the_position_that_stands(self) -> None:
        """The feed goes on from there."""
        error = self.assertRaises(Invalid, self.sessions.place, 1, 12, 1)
        self.assertEqual(error.details["position"], "10")

    def test_an_overlap_is_refused(self) -> None:
        """Order inside a batch is not kept, so that it cannot be cut here."""
        self.assertRaises(Invalid, self.sessions.place, 1, 10, 2)

    def test_an_ended_session_takes_nothing(self) -> None:
        """Its end was final."""
        self.sessions.end(1, NOW)
        self.assertRaises(Conflict, self.sessions.place, 1, 11, 1)


class PrimaryTests(SynchronousTestCase):
    """Which recordings history reads unless told otherwise."""

    def left_out(self, *sessions: object) -> frozenset[int]:
        """Return the sessions that are left out of the trades of the test's venue."""
        known = FeedSessions(Environment.DEMO)
        for each in sessions:
            known.put(each)  # type: ignore[arg-type] # a test's shorthand
        return known.secondary(TRADES)

    def test_the_first_replay_of_a_day_is_primary(self) -> None:
        """Later ones are left out, other days are not touched."""
        self.assertEqual(self.left_out(session(1), session(2), session(3, trade_date="2013-10-07")), frozenset([2]))

    def test_a_live_day_leaves_its_replays_out(self) -> None:
        """All LIVE and SIMULATED sessions count together."""
        live = [session(number, kind=FeedKind.LIVE) for number in (2, 3)]
        self.assertEqual(self.left_out(session(1), *live), frozenset([1]))

    def test_another_type_does_not_matter(self) -> None:
        """Primary is a matter of venue and type."""
        self.assertEqual(self.left_out(session(1, serves=(QUOTES,)), session(2)), frozenset())
