"""Daily usage: once a day each, in batches, kept while nobody takes it."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.administration.values import Usage
from spire.marketdata.values import RecordType
from spire.relay import usage
from spire.relay.usage import BATCH, DailyUsage
from spire.testing.clock import OPENING
from spire.values.codes import Venue
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.arguments import encode
from spire.wire.errors import Forbidden, Invalid, SpireError, Unavailable

XNYS = Venue("XNYS")
TRADE = RecordType.TRADE
DAY = 86_400 * NANOSECONDS


class DailyUsageTests(SynchronousTestCase):
    """A log of one server."""

    def setUp(self) -> None:
        """Make it; the test says what time it is and how Administration answers."""
        self.now = OPENING
        self.told: list[Usage] = []
        self.calls: list[int] = []
        self.error: SpireError | None = None
        self.usage = DailyUsage(self.record, lambda: self.now)

    async def record(self, batch: Sequence[Usage]) -> None:
        """Stand in for Administration."""
        self.calls.append(len(batch))
        if self.error is not None:
            raise self.error
        self.told.extend(batch)

    def flush(self) -> None:
        """Tell what waits."""
        self.successResultOf(Deferred.fromCoroutine(self.usage.flush()))

    def test_a_use_is_told_once_a_day(self) -> None:
        """However often it is noted, and again on the next day."""
        for _ in range(3):
            self.usage.note(1, XNYS, TRADE)
        self.flush()
        self.usage.note(1, XNYS, TRADE)
        self.flush()
        self.now = Timestamp(OPENING + DAY)
        self.usage.note(1, XNYS, TRADE)
        self.flush()
        self.assertEqual([(use.date, use.account_id) for use in self.told], [("2013-10-08", 1), ("2013-10-09", 1)])

    def test_accounts_venues_and_types_are_told_apart(self) -> None:
        """Each is a use of its own."""
        self.usage.note(1, XNYS, TRADE)
        self.usage.note(2, XNYS, TRADE)
        self.usage.note(1, Venue("XNAS"), TRADE)
        self.usage.note(1, XNYS, RecordType.BBO)
        self.flush()
        self.assertEqual(len(set(self.told)), 4)

    def test_nothing_is_told_where_nothing_was_used(self) -> None:
        """No empty calls."""
        self.flush()
        self.assertEqual(self.calls, [])

    def test_a_batch_fits_one_argument(self) -> None:
        """Also with the greatest ids."""
        for number in range(BATCH + 1):
            self.usage.note(2**63 - 1 - number, XNYS, RecordType.BOOK)
        self.assertLess(len(encode(self.usage.waiting[:BATCH])), 60_000)
        self.flush()
        self.assertEqual(self.calls, [BATCH, 1])

    def test_what_administration_does_not_take_waits(self) -> None:
        """In its order, until it is there again."""
        self.error = Unavailable("away")
        self.usage.note(1, XNYS, TRADE)
        self.flush()
        self.usage.note(2, XNYS, TRADE)
        self.error = None
        self.flush()
        self.assertEqual([use.account_id for use in self.told], [1, 2])
        self.assertEqual(self.usage.waiting, ())

    def test_what_waits_is_bounded(self) -> None:
        """The oldest is forgotten, and counted."""
        self.patch(usage, "MOST_WAITING", 3)
        for number in range(5):
            self.usage.note(number, XNYS, TRADE)
        self.assertEqual([use.account_id for use in self.usage.waiting], [2, 3, 4])
        self.assertEqual(self.usage.dropped, 2)

    def test_a_batch_that_is_refused_as_invalid_does_not_hold_up_the_others(self) -> None:
        """It is dropped, counted and raised, for the log."""
        self.usage.note(1, XNYS, TRADE)
        self.error = Invalid("not this")
        self.failureResultOf(Deferred.fromCoroutine(self.usage.flush()), Invalid)
        self.assertEqual((self.usage.waiting, self.usage.dropped), ((), 1))

    def test_a_right_that_is_missing_is_raised_and_the_batch_waits(self) -> None:
        """Somebody may grant it."""
        self.usage.note(1, XNYS, TRADE)
        self.error = Forbidden("not you")
        self.failureResultOf(Deferred.fromCoroutine(self.usage.flush()), Forbidden)
        self.assertEqual(len(self.usage.waiting), 1)
