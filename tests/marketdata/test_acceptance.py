"""Tests of acceptance: positions, sequences, frames, and that a refused group leaves no trace."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.marketdata import acceptance
from spire.marketdata.acceptance import (
    Acceptance,
    EndRequest,
    Group,
    Opened,
    RemoveRequest,
    Request,
)
from spire.marketdata.blocks import UnreadableBlockError, decompress, pack, unpack_block
from spire.marketdata.feed_session import FeedSessions
from spire.marketdata.frames import FrameKind, UnreadableFrameError, decode_frames, encode_frames
from spire.marketdata.image import Image
from spire.marketdata.sequencing import Sequences
from spire.marketdata.values import COUNTS_LAST, Present, RecordType
from spire.values.environment import Environment
from spire.values.orders import BookSide
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Forbidden, Invalid, SpireError
from tests.marketdata.records import batch, open_request, quotes, row, trades

NOW = Timestamp(123)


class AcceptanceTestCase(SynchronousTestCase):
    """An acceptance with an image behind it, as the server has."""

    def setUp(self) -> None:
        """Open feed session 1 on connection a."""
        self.image = Image()
        self.acceptance = Acceptance(FeedSessions(Environment.DEMO), Sequences(), self.image.books)
        self.position = 0
        self.durable(open_request())

    def take(self, *requests: Request) -> Group:
        """Return the first group of these requests."""
        return self.acceptance.take(deque(requests), NOW)

    def durable(self, *requests: Request) -> Group:
        """Take a group and make it visible."""
        group = self.take(*requests)
        self.position += 1
        for frame in group.frames:
            self.image.apply(self.position, frame)
        return group

    def refusal(self, group: Group) -> SpireError:
        """Return the error of a group's only request."""
        (outcome,) = group.outcomes
        assert isinstance(outcome, SpireError)
        return outcome


class BatchTests(AcceptanceTestCase):
    """Batches."""

    def test_records_get_dense_sequences_per_instrument(self) -> None:
        """In the order in which they came."""
        self.durable(batch(1, 1, trades=trades([2, 1, 2])))
        (frame,) = self.durable(batch(1, 4, trades=trades([2, 1]))).frames
        records = frame.records[RecordType.TRADE]
        self.assertEqual(list(zip(records["instrument"], records["sequence"], strict=True)), [(1, 2), (2, 3)])

    def test_batches_that_follow_each_other_share_a_frame(self) -> None:
        """A frame's positions are contiguous; every batch has its own answer."""
        group = self.take(batch(1, 1, trades=trades([1])), batch(1, 2, bbos=quotes([1, 1])))
        (frame,) = group.frames
        self.assertEqual((frame.first, frame.count, group.outcomes), (1, 3, [1, 3]))

    def test_a_repeat_is_answered_and_changes_nothing(self) -> None:
        """The same positions again, on the same or a newer cut."""
        self.durable(batch(1, 1, trades=trades([1, 1])))
        group = self.take(batch(1, 1, trades=trades([1, 1])))
        self.assertEqual((group.frames, group.outcomes), ([], [2]))

    def test_a_repeat_inside_a_group_is_recognised(self) -> None:
        """Nothing is accepted twice although nothing is durable yet."""
        group = self.take(batch(1, 1, trades=trades([1])), batch(1, 1, trades=trades([1])))
        self.assertEqual(([frame.count for frame in group.frames], group.outcomes), ([1], [1, 1]))

    def test_equal_content_at_other_positions_is_kept(self) -> None:
        """Honest repeats are common."""
        group = self.take(batch(1, 1, trades=trades([1])), batch(1, 2, trades=trades([1])))
        self.assertEqual(group.frames[0].record_count, 2)

    def test_a_batch_of_another_connection_is_a_conflict(self) -> None:
        """Whoever opened last serves."""
        self.assertIsInstance(self.refusal(self.take(batch(1, 1, connection="b", trades=trades([1])))), Conflict)

    def test_a_refused_batch_does_not_hold_up_the_others(self) -> None:
        """The gap behind it is refused as well, the next in order is taken."""
        group = self.take(batch(1, 5, trades=trades([1])), batch(1, 1, trades=trades([1])))
        self.assertIsInstance(group.outcomes[0], Invalid)
        self.assertEqual(group.outcomes[1], 1)

    def test_an_abandoned_group_leaves_no_trace(self) -> None:
        """The same batches get the same positions and sequences afterwards."""
        requests = (batch(1, 1, trades=trades([1, 2])), batch(1, 3, trades=trades([1])))
        first = self.take(*requests)
        before = encode_frames(first.frames)
        self.acceptance.abandon(first)
        self.assertEqual(encode_frames(self.take(*requests).frames), before)

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.booleans()), max_size=12))
    def test_sequences_stay_dense_whatever_the_journal_refuses(self, turns: list[tuple[list[int], bool]]) -> None:
        """A model that counts accepted records per instrument agrees."""
        self.setUp()
        expected: dict[int, int] = {}
        position = 0
        for instruments, is_refused in turns:
            request = batch(1, position + 1, trades=trades(instruments))
            if is_refused:
                self.acceptance.abandon(self.take(request))
                continue
            self.durable(request)
            position += len(instruments)
            for instrument in instruments:
                expected[instrument] = expected.get(instrument, 0) + 1
        visible = {one: self.image.visible((RecordType.TRADE, one)) for one in (1, 2, 3)}
        self.assertEqual(visible, {one: expected.get(one, 0) for one in (1, 2, 3)})
        self.assertEqual(self.acceptance.sessions.get(1).position, position)

    def test_missing_receive_times_are_stamped(self) -> None:
        """A time that the feed gave stays."""
        given_time = trades([1, 1])
        given_time["receive_time"] = [0, 77]
        (frame,) = self.take(batch(1, 1, trades=given_time)).frames
        self.assertEqual(frame.records[RecordType.TRADE]["receive_time"].tolist(), [NOW, 77])

    def test_prints_without_eligibility_are_judged_by_their_conditions(self) -> None:
        """What the feed said stays."""
        self.acceptance.eligibility = lambda conditions: np.where(conditions == 0, 15, 0).astype(np.uint16)
        records = trades([1, 1])
        records["eligibility"][1] = COUNTS_LAST
        records["present"][1] = Present.ELIGIBILITY
        (frame,) = self.take(batch(1, 1, trades=records)).frames
        self.assertEqual(frame.records[RecordType.TRADE]["eligibility"].tolist(), [15, COUNTS_LAST])


class SessionTests(AcceptanceTestCase):
    """Opening, ending, and what happens to the book."""

    def test_opening_again_moves_the_session_to_the_new_connection(self) -> None:
        """The old one is refused from then on."""
        self.durable(open_request(connection="b", keeps_book=True))
        self.assertIsInstance(self.refusal(self.take(batch(1, 1, trades=trades([1])))), Conflict)
        self.assertEqual(self.take(batch(1, 1, connection="b", trades=trades([1]))).outcomes, [1])

    def test_a_change_of_sessions_goes_alone(self) -> None:
        """The batches before it are visible first."""
        pending: deque[Request] = deque(
            [
                batch(1, 1, trades=trades([1])),
                EndRequest(feed_session=1, connection="a"),
                batch(1, 2, trades=trades([1])),
            ]
        )
        self.assertEqual(len(self.acceptance.take(pending, NOW).outcomes), 1)
        self.assertEqual(len(self.acceptance.take(pending, NOW).outcomes), 1)
        self.assertEqual(len(pending), 1)

    def test_an_end_removes_the_sessions_book_rows_first(self) -> None:
        """By published removals."""
        self.durable(batch(1, 1, books=row(1, BookSide.BID, 10, 5)))
        group = self.durable(EndRequest(feed_session=1, connection="a"))
        self.assertEqual([frame.kind for frame in group.frames], [FrameKind.REMOVED, FrameKind.ENDED])
        removed = group.frames[0].records[RecordType.BOOK]
        self.assertEqual((removed["size"].tolist(), removed["sequence"].tolist()), ([0], [2]))
        self.assertEqual(len(self.image.books[1].rows), 0)

    def test_a_large_book_is_removed_in_several_entries(self) -> None:
        """Each takes no more than one of batches does; together they remove every row, in sequence."""
        self.patch(acceptance, "GROUP_RECORDS", 4)
        books = [row(instrument, BookSide.BID, price, 5) for instrument in (1, 2) for price in range(1, 6)]
        self.durable(batch(1, 1, books=np.concatenate(books)))
        group = self.durable(EndRequest(feed_session=1, connection="a"))
        sizes = [[frame.record_count for frame in frames] for frames in group.entries]
        self.assertEqual(sizes, [[4], [4], [2, 0]])
        sequences = [frame.records[RecordType.BOOK]["sequence"].tolist() for frame in group.frames[:-1]]
        self.assertEqual(sequences, [[6, 7, 8, 9], [10, 6, 7, 8], [9, 10]])
        self.assertEqual((len(self.image.books[1].rows), len(self.image.books[2].rows)), (0, 0))

    def test_only_the_feed_itself_ends_its_session(self) -> None:
        """Another connection is refused."""
        self.assertIsInstance(self.refusal(self.take(EndRequest(feed_session=1, connection="b"))), Forbidden)

    def test_a_second_feed_takes_over_from_one_that_is_away(self) -> None:
        """The first session ends, its rows go, the second begins, at one journal position."""
        self.durable(batch(1, 1, books=row(1, BookSide.BID, 10, 5)))
        self.acceptance.detach("a")
        group = self.durable(open_request("other", connection="b"))
        kinds = [frame.kind for frame in group.frames]
        self.assertEqual(kinds, [FrameKind.REMOVED, FrameKind.ENDED, FrameKind.OPENED])
        self.assertIsNotNone(self.acceptance.sessions.get(1).ended)

    def test_a_take_over_that_is_abandoned_leaves_the_first_session(self) -> None:
        """As if nobody had asked."""
        self.durable(batch(1, 1, books=row(1, BookSide.BID, 10, 5)))
        self.acceptance.detach("a")
        self.acceptance.abandon(self.take(open_request("other", connection="b")))
        self.assertIsNone(self.acceptance.sessions.get(1).ended)
        group = self.take(open_request(connection="a", keeps_book=True))
        self.assertEqual(group.outcomes[0].session.feed_session_id if isinstance(group.outcomes[0], Opened) else 0, 1)

    def test_a_feed_that_stayed_away_loses_its_rows_and_is_told(self) -> None:
        """It sends its book again when it returns."""
        self.durable(batch(1, 1, books=row(1, BookSide.BID, 10, 5)))
        self.acceptance.detach("a")
        self.durable(RemoveRequest(feed_session=1))
        self.assertEqual(len(self.image.books[1].rows), 0)
        (outcome,) = self.durable(open_request(connection="b", keeps_book=True)).outcomes
        assert isinstance(outcome, Opened)
        self.assertTrue(outcome.removed_book)

    def test_a_feed_that_returned_in_time_keeps_its_rows(self) -> None:
        """The grace period was not over."""
        self.durable(batch(1, 1, books=row(1, BookSide.BID, 10, 5)))
        self.acceptance.detach("a")
        (outcome,) = self.durable(open_request(connection="b", keeps_book=True)).outcomes
        assert isinstance(outcome, Opened)
        self.assertFalse(outcome.removed_book)
        self.durable(RemoveRequest(feed_session=1))
        self.assertEqual(len(self.image.books[1].rows), 1)

    def test_a_session_asked_for_by_number_must_still_be_open(self) -> None:
        """A feed that goes on is not given a new session in silence."""
        self.durable(EndRequest(feed_session=1, connection="a"))
        request = open_request()
        again = type(request)(opening=request.opening, connection="a", keeps_book=True, resumes=1)
        self.assertIsInstance(self.refusal(self.take(again)), Conflict)


class RestoreTests(AcceptanceTestCase):
    """What the journal holds gives the same state."""

    def test_replayed_frames_give_positions_sequences_and_books(self) -> None:
        """Through the bytes of the journal."""
        requests: list[Request] = [
            open_request(),
            batch(1, 1, trades=trades([1, 2]), books=row(1, BookSide.BID, 10, 5)),
            batch(1, 4, bbos=quotes([1])),
            EndRequest(feed_session=1, connection="a"),
            open_request("second"),
            batch(2, 1, trades=trades([1])),
        ]
        self.image = Image()
        self.acceptance = Acceptance(FeedSessions(Environment.DEMO), Sequences(), self.image.books)
        journal = [encode_frames(self.durable(request).frames) for request in requests]
        image = Image()
        acceptance = Acceptance(FeedSessions(Environment.DEMO), Sequences(), image.books)
        for position, payload in enumerate(journal, 1):
            for frame in decode_frames(payload):
                acceptance.restore(frame)
                image.apply(position, frame)
        self.assertEqual(acceptance.sessions.sessions, self.acceptance.sessions.sessions)
        for kind in RecordType:
            self.assertEqual(acceptance.sequences.last(kind, 1), self.acceptance.sequences.last(kind, 1))
            self.assertEqual(image.last(kind, 1).tobytes(), self.image.last(kind, 1).tobytes())
        self.assertEqual(image.books[1].rows.tobytes(), self.image.books[1].rows.tobytes())


class FrameTests(SynchronousTestCase):
    """Bytes in the journal."""

    def test_cut_bytes_are_unreadable(self) -> None:
        """At every place."""
        acceptance = Acceptance(FeedSessions(Environment.DEMO), Sequences(), {})
        payload = encode_frames(acceptance.take(deque([open_request()]), NOW).frames)
        for length in range(1, len(payload)):
            self.assertRaises(UnreadableFrameError, decode_frames, payload[:length])


class BlockTests(SynchronousTestCase):
    """Packed blocks."""

    @settings(max_examples=30)
    @given(st.lists(st.integers(1, 3), min_size=1, max_size=50))
    def test_blocks_give_back_every_record(self, instruments: list[int]) -> None:
        """Byte for byte, whatever the instruments."""
        sequences = Sequences()
        parts = [
            sequences.assign(RecordType.TRADE, trades(instruments, start_time=1000 + turn))[0] for turn in range(2)
        ]
        blocks = pack(RecordType.TRADE, parts)
        found = np.concatenate([unpack_block(block) for block in blocks])
        expected = np.concatenate(
            [part[part["instrument"] == one] for one in sorted(set(instruments)) for part in parts]
        )
        order = np.lexsort((found["sequence"], found["instrument"]))
        self.assertEqual(found[order].tobytes(), expected.tobytes())
        self.assertEqual({block.instrument for block in blocks}, set(instruments))

    def test_a_new_feed_session_begins_a_new_block(self) -> None:
        """A block is of one feed session."""
        sequences = Sequences()
        first, _ = sequences.assign(RecordType.TRADE, trades([1, 1]))
        second, _ = sequences.assign(RecordType.TRADE, trades([1]))
        first["feed_session"], second["feed_session"] = 1, 2
        blocks = pack(RecordType.TRADE, [first, second])
        found = [(block.feed_session, block.first_sequence, block.last_sequence) for block in blocks]
        self.assertEqual(found, [(1, 1, 2), (2, 3, 3)])

    def test_a_damaged_payload_is_unreadable(self) -> None:
        """An error, never an empty result."""
        self.assertRaises(UnreadableBlockError, decompress, RecordType.TRADE, 1, b"nothing")
        (block,) = pack(RecordType.TRADE, [Sequences().assign(RecordType.TRADE, trades([1, 1]))[0]])
        self.assertRaises(UnreadableBlockError, decompress, RecordType.TRADE, 3, block.payload)
