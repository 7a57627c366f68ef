"""PRODUCTION takes live feeds only."""

from spire.values.environment import Environment, FeedKind
from spire.wire.errors import Forbidden, Invalid
from tests.marketdata.records import trades
from tests.marketdata.room import FEED_SERVICE, RoomTestCase


class ProductionTests(RoomTestCase):
    """What a Market Data Server in PRODUCTION refuses, and what it goes on doing."""

    environment = Environment.PRODUCTION

    def test_a_replay_is_refused_for_good_and_live_feeds_go_on(self) -> None:
        """FORBIDDEN with the reason; the feed does not try again, its connection and the other feeds stay."""
        live = self.feed("live", kind=FeedKind.LIVE)
        self.publish(live, trades=trades([1]))
        replay = self.make_feed("replay", kind=FeedKind.REPLAY)
        refused = self.refusal(replay.start(keeps_book=True), Forbidden)
        self.assertEqual(refused.message, "PRODUCTION refuses REPLAY feeds")
        self.assertTrue(replay.connection.is_ready)
        self.publish(live, trades=trades([1], start_time=2000))
        self.assertEqual(live.accepted, 2)

    def test_a_feed_of_another_environment_is_refused(self) -> None:
        """INVALID names both environments."""
        feed = self.make_feed("other", kind=FeedKind.REPLAY, environment=Environment.REPLAY)
        refused = self.refusal(feed.start(keeps_book=True), Invalid)
        self.assertEqual(refused.message, "the feed is of REPLAY, this server of PRODUCTION")
        self.assertTrue(self.connect(FEED_SERVICE, "market_data.publish").is_ready)
