"""Pages of history are read once for all who want them at the same time."""

import numpy as np
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata.values import TRADE, Records
from spire.relay.pages import GRAIN, PAGE, Page, SharedPages
from spire.wire.errors import Unavailable

TOPIC = "trade/1"


def stretch(after: int, through: int) -> Records:
    """Return the records of a range."""
    records = np.zeros(through - after, TRADE)
    records["sequence"] = np.arange(after + 1, through + 1)
    return records


class SharedPagesTests(SynchronousTestCase):
    """An upstream that answers when the test says so."""

    def setUp(self) -> None:
        """Make it."""
        self.asked: list[tuple[str, int, int, int]] = []
        self.answers: list[Deferred[Records]] = []
        self.pages = SharedPages(self.read, budget=10 * GRAIN * TRADE.itemsize)

    async def read(self, topic: str, epoch: int, after: int, through: int) -> Records:
        """Ask upstream."""
        self.asked.append((topic, epoch, after, through))
        answer: Deferred[Records] = Deferred()
        self.answers.append(answer)
        return await answer

    def want(self, position: int, through: int, *, topic: str = TOPIC, epoch: int = 1) -> Deferred[Page]:
        """Come for what follows a position."""
        return Deferred.fromCoroutine(self.pages.page(topic, epoch, position, through))

    def answer(self, number: int = -1) -> None:
        """Answer a question."""
        _, _, after, through = self.asked[number]
        self.answers[number].callback(stretch(after, through))

    def test_a_page_begins_at_a_grain_and_ends_where_the_topic_does(self) -> None:
        """The reader takes his part of it."""
        asked = self.want(1_500, 1_800)
        self.answer()
        page = self.successResultOf(asked)
        self.assertEqual((page.after, page.through), (1_024, 1_800))
        self.assertEqual(page.part(1_500, 1_700)["sequence"].tolist(), list(range(1_501, 1_701)))

    def test_a_page_is_no_longer_than_a_page(self) -> None:
        """However much is missing."""
        self.want(0, 10 * PAGE)
        self.assertEqual(self.asked, [(TOPIC, 1, 0, PAGE)])

    def test_who_comes_while_it_is_read_waits_for_it(self) -> None:
        """One question for all of them."""
        first, second = self.want(100, 500), self.want(120, 480)
        self.answer()
        self.assertEqual(len(self.asked), 1)
        self.assertIs(self.successResultOf(first), self.successResultOf(second))

    def test_who_comes_later_finds_it(self) -> None:
        """And reads on where it ends."""
        self.want(100, 500)
        self.answer()
        self.assertEqual(self.successResultOf(self.want(300, 900)).through, 500)
        self.want(500, 900)
        self.assertEqual(self.asked[-1], (TOPIC, 1, 0, 900))

    def test_topics_and_epochs_are_told_apart(self) -> None:
        """A page of one is none of the other."""
        self.want(100, 500)
        self.answer()
        self.want(100, 500, epoch=2)
        self.want(100, 500, topic="trade/2")
        self.assertEqual(len(self.asked), 3)

    def test_an_error_is_the_first_ones_and_the_next_reads_for_himself(self) -> None:
        """Nobody waits for an answer that does not come."""
        first, second = self.want(100, 500), self.want(100, 500)
        self.answers[0].errback(Unavailable("away"))
        self.failureResultOf(first, Unavailable)
        self.assertEqual(len(self.asked), 2)
        self.answer()
        self.assertEqual(self.successResultOf(second).through, 500)

    def test_a_reader_that_goes_away_while_he_reads_leaves_it_to_the_next(self) -> None:
        """Or is simply not there any more, if he waited."""
        first, second, third = (self.want(100, 500) for _ in range(3))
        for gone in (second, first):
            gone.addErrback(lambda _: None)
            gone.cancel()
        self.answer()
        self.assertEqual(self.successResultOf(third).through, 500)

    def test_a_reader_that_goes_on_may_take_another_away(self) -> None:
        """As where both serve a session that ends: the rest are served."""
        first, second, third, fourth = (self.want(100, 500) for _ in range(4))
        second.addCallback(lambda _: third.cancel())
        self.answer()
        self.failureResultOf(third, CancelledError)
        self.assertEqual([self.successResultOf(one).through for one in (first, fourth)], [500, 500])

    def test_what_is_kept_stays_within_the_budget(self) -> None:
        """The pages that were wanted last are kept."""
        for number in range(20):
            self.want(number * GRAIN, (number + 1) * GRAIN)
            self.answer()
        self.assertEqual(self.pages.size, 10 * GRAIN * TRADE.itemsize)
        self.want(19 * GRAIN, 20 * GRAIN)
        self.assertEqual(len(self.asked), 20)
        self.want(0, GRAIN)
        self.assertEqual(len(self.asked), 21)
