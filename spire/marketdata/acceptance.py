"""Acceptance: feed requests become frames, in order, and nothing of a group that the journal refuses remains (sans-I/O).

A group is what goes to the journal together; one is under way at a time. `take` assigns positions and sequences, `abandon` takes all
of them back, so that sequences stay dense and none is given out twice.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from spire.marketdata.book import Book
from spire.marketdata.feed_session import FeedSession, FeedSessions, Opening, Place
from spire.marketdata.frames import Frame, FrameKind
from spire.marketdata.sequencing import Sequences, runs_of
from spire.marketdata.values import Present, Records, RecordType, joined
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Forbidden, SpireError

FRAME_RECORDS: Final = 16_384
"""Most records that batches are joined to in one frame."""
GROUP_RECORDS: Final = 65_536
"""Records after which a group takes no further batch, and those of a journal entry: whole books are removed in several."""

Eligibility = Callable[[NDArray[np.uint64]], NDArray[np.uint16]]
"""What prints with these conditions count for."""


@frozen(kw_only=True)
class OpenRequest:
    """A feed opens its session on a connection; without `keeps_book` it knows nothing of book rows it sent before."""

    opening: Opening
    connection: str
    keeps_book: bool
    resumes: int | None = None


@frozen(kw_only=True)
class BatchRequest:
    """A checked batch of a feed session."""

    feed_session: int
    connection: str
    first: int
    count: int
    records: dict[RecordType, Records]


@frozen(kw_only=True)
class EndRequest:
    """A feed ends its session."""

    feed_session: int
    connection: str


@frozen(kw_only=True)
class RemoveRequest:
    """A feed stayed away beyond its grace period: its book rows go."""

    feed_session: int


Request = OpenRequest | BatchRequest | EndRequest | RemoveRequest


@frozen(kw_only=True)
class Opened:
    """What a feed is told: where it stands, and whether book rows that it sent before were removed."""

    session: FeedSession
    is_new: bool
    removed_book: bool


Outcome = Opened | int | SpireError
"""What a request comes to once its group is durable: an opening, the accepted position, or why it is refused."""


@frozen(kw_only=True)
class Group:
    """Frames for the journal, and each request's outcome, in order."""

    frames: list[Frame] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)
    undo: list[Callable[[], None]] = field(factory=list)

    @property
    def entries(self) -> list[list[Frame]]:
        """The frames as they go to the journal: at most `GROUP_RECORDS` records an entry, where a frame alone has no more."""
        entries: list[list[Frame]] = []
        size = 0
        for frame in self.frames:
            size += frame.record_count
            if not entries or size > GROUP_RECORDS:
                entries.append([])
                size = frame.record_count
            entries[-1].append(frame)
        return entries


class Acceptance:
    """Feed sessions, who is connected, and the sequences given out."""

    def __init__(
        self,
        sessions: FeedSessions,
        sequences: Sequences,
        books: Mapping[int, Book],
        eligibility: Eligibility | None = None,
    ) -> None:
        self.sessions = sessions
        self.sequences = sequences
        self.eligibility = eligibility
        self._books = books
        self._attached: dict[int, str] = {}

    def connection_of(self, feed_session: int) -> str | None:
        """Return the connection on which a feed session is open."""
        return self._attached.get(feed_session)

    def detach(self, connection: str) -> list[int]:
        """Take note that a connection is gone; return the feed sessions that lost their feed by it."""
        lost = [number for number, holder in self._attached.items() if holder == connection]
        for number in lost:
            del self._attached[number]
        return lost

    def _detach(self, feed_session: int) -> None:
        self._attached.pop(feed_session, None)

    def restore(self, frame: Frame) -> None:
        """Take a frame that the journal holds and the store does not."""
        if frame.opened is not None:
            self.sessions.put(frame.opened)
        elif frame.kind is FrameKind.BATCH:
            self.sessions.move(frame.feed_session, frame.first + frame.count - 1)
        elif frame.kind is FrameKind.ENDED:
            self.sessions.end(frame.feed_session, frame.time)
        for record_type, records in frame.records.items():
            for instrument, _, _, last in runs_of(records).rows():
                self.sequences.observe(record_type, instrument, last)

    def take(self, pending: deque[Request], now: Timestamp) -> Group:
        """Take the next group off the queue: batches as far as they follow each other, or one other request.

        What changes sessions goes alone, because it looks at the book that the batches before it make. A refused request changes
        nothing. The group's outcomes are those of the requests taken, in order.
        """
        requests: list[Request] = []
        total = 0
        while pending and (isinstance(pending[0], BatchRequest) or not requests):
            request = pending.popleft()
            requests.append(request)
            if not isinstance(request, BatchRequest):
                break
            total += request.count
            if total >= GROUP_RECORDS:
                break
        return self._group(requests, now)

    def _group(self, requests: Sequence[Request], now: Timestamp) -> Group:
        group = Group()
        batches: list[BatchRequest] = []
        for request in requests:
            joins = isinstance(request, BatchRequest)
            if batches and not (joins and self._continues(batches, request)):
                self._join(group, batches, now)
                batches = []
            try:
                if isinstance(request, BatchRequest):
                    outcome: Outcome = self._batch(group, batches, request)
                else:
                    outcome = self._single(group, request, now)
            except SpireError as error:
                outcome = error
            group.outcomes.append(outcome)
        if batches:
            self._join(group, batches, now)
        return group

    def abandon(self, group: Group) -> None:
        """Take everything back that a group assigned."""
        for step in reversed(group.undo):
            step()

    def _continues(self, batches: list[BatchRequest], request: Request) -> bool:
        return (
            isinstance(request, BatchRequest)
            and batches[0].feed_session == request.feed_session
            and request.first + request.count - batches[0].first <= FRAME_RECORDS
        )

    def _batch(self, group: Group, batches: list[BatchRequest], request: BatchRequest) -> int:
        session = self.sessions.get(request.feed_session)
        place = self.sessions.place(request.feed_session, request.first, request.count)
        if self._attached.get(request.feed_session) != request.connection:
            raise Conflict(f"feed session {session.name!r} is not open on this connection: open it again")
        last = request.first + request.count - 1
        if place is Place.NEXT:
            group.undo.append(lambda: self.sessions.move(session.feed_session_id, session.position))
            self.sessions.move(session.feed_session_id, last)
            batches.append(request)
        return last

    def _join(self, group: Group, batches: Sequence[BatchRequest], now: Timestamp) -> None:
        first, last = batches[0], batches[-1]
        records: dict[RecordType, Records] = {}
        for record_type in RecordType:
            parts = [batch.records[record_type] for batch in batches if record_type in batch.records]
            if parts:
                records[record_type] = self._sequenced(group, record_type, parts, first.feed_session, now)
        frame = Frame(
            kind=FrameKind.BATCH,
            feed_session=first.feed_session,
            time=now,
            first=first.first,
            count=last.first + last.count - first.first,
            records=records,
        )
        group.frames.append(frame)

    def _sequenced(
        self, group: Group, record_type: RecordType, parts: Sequence[Records], feed_session: int, now: Timestamp
    ) -> Records:
        everything = joined(record_type, parts)
        records, before = self.sequences.assign(record_type, everything)
        group.undo.append(lambda: self.sequences.take_back(record_type, before))
        records["feed_session"] = feed_session
        received = records["receive_time"]
        records["receive_time"] = np.where(received == 0, now, received)
        if record_type is RecordType.TRADE and self.eligibility is not None:
            bit = np.uint16(Present.ELIGIBILITY)
            unknown = (records["present"] & bit) == 0
            if unknown.any():
                judged = self.eligibility(records["conditions"])
                records["eligibility"] = np.where(unknown, judged, records["eligibility"])
                records["present"] |= bit
        return records

    def _single(self, group: Group, request: OpenRequest | EndRequest | RemoveRequest, now: Timestamp) -> Outcome:
        if isinstance(request, OpenRequest):
            return self._open(group, request, now)
        if isinstance(request, EndRequest):
            return self._end_asked(group, request, now)
        if self._attached.get(request.feed_session) is None:
            self._remove(group, request.feed_session, now)
        return self.sessions.get(request.feed_session).position

    def _open(self, group: Group, request: OpenRequest, now: Timestamp) -> Opened:
        if request.resumes is not None:
            resumed = self.sessions.get(request.resumes)
            if resumed.ended is not None:
                raise Conflict(f"feed session {resumed.name!r} ended", feed_session=resumed.feed_session_id)
        plan = self.sessions.plan(request.opening, self._attached, now)
        for number in plan.ends:
            self._end(group, number, now)
        session = plan.session
        number = session.feed_session_id
        removed = False
        if plan.is_new:
            self.sessions.put(session)
            group.undo.append(lambda: self.sessions.forget(number))
            group.undo.append(lambda: self._detach(number))
            group.frames.append(Frame(kind=FrameKind.OPENED, feed_session=number, time=now, opened=session))
        else:
            removed = not request.keeps_book or not any(len(book.removals(number)) for book in self._books.values())
            if not request.keeps_book:
                self._remove(group, number, now)
        self._attached[number] = request.connection
        return Opened(session=session, is_new=plan.is_new, removed_book=removed)

    def _end_asked(self, group: Group, request: EndRequest, now: Timestamp) -> int:
        session = self.sessions.get(request.feed_session)
        if session.ended is not None:
            return session.position
        if self._attached.get(request.feed_session) != request.connection:
            raise Forbidden(f"feed session {session.name!r} is not open on this connection")
        self._end(group, request.feed_session, now)
        return session.position

    def _end(self, group: Group, number: int, now: Timestamp) -> None:
        self._remove(group, number, now)
        self.sessions.end(number, now)
        group.undo.append(lambda: self.sessions.end(number, None))
        group.frames.append(Frame(kind=FrameKind.ENDED, feed_session=number, time=now))

    def _remove(self, group: Group, number: int, now: Timestamp) -> bool:
        gone = [records for book in self._books.values() if len(records := book.removals(number))]
        if not gone:
            return False
        everything = joined(RecordType.BOOK, gone)
        everything["receive_time"] = now
        records, before = self.sequences.assign(RecordType.BOOK, everything)
        group.undo.append(lambda: self.sequences.take_back(RecordType.BOOK, before))
        frame = Frame(kind=FrameKind.REMOVED, feed_session=number, time=now)
        for begin in range(0, len(records), GROUP_RECORDS):
            part = records[begin : begin + GROUP_RECORDS]
            group.frames.append(evolve(frame, records={RecordType.BOOK: part}))
        return True
