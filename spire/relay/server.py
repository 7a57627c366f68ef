"""The Market Data Relay: Market Data for end users, one upstream subscription a topic however many they are."""

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from attrs import evolve
from zope.interface import implementer

from spire.marketdata.client import MarketDataClient
from spire.marketdata.commands import FindLastRecords
from spire.marketdata.snapshots import MarketSnapshot
from spire.marketdata.values import FEED_SESSIONS_TOPIC, RecordType, empty, parse_topic
from spire.relay.history import UpstreamHistory
from spire.relay.markets import MirroredMarkets
from spire.relay.rights import Rights
from spire.relay.upstream import RelayedTopic
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden, NotAuthenticated, NotFound, SpireError, Unavailable
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.topics import ITopics

R = TypeVar("R")

CALL_SECONDS: Final = 10.0
SWEEP_SECONDS: Final = 5.0
"""Topics without readers are looked for so often."""

_NOTHING: Final[dict[RecordType, dict[str, Any]]] = {
    RecordType.TRADE: {"trade": empty(RecordType.TRADE), "trade_through": 0},
    RecordType.BBO: {"bbo": empty(RecordType.BBO), "bbo_through": 0},
    RecordType.BOOK: {"book": empty(RecordType.BOOK), "book_through": 0},
}
"""What stands in a snapshot for a type that the session may not see."""


@implementer(ITopics)
class RelayServer:
    """Topics, snapshots and last records of Market Data; `history` answers loads.

    `upstream` is the session with Market Data. Topics and loads are checked by the gate that stands before them;
    snapshots and last records are checked here, since they hold several types.
    """

    def __init__(
        self,
        *,
        upstream: ClientSession,
        rights: Rights,
        markets: MirroredMarkets,
        publisher: Publisher,
        clock: Clock,
        metrics: Metrics,
        linger_seconds: float,
    ) -> None:
        self.history = UpstreamHistory(upstream)
        self._upstream = upstream
        self._market_data = MarketDataClient(upstream)
        self._rights = rights
        self._markets = markets
        self._publisher = publisher
        self._clock = clock
        self._linger_seconds = linger_seconds
        self._relayed: dict[str, RelayedTopic] = {}
        self._gauge = metrics.gauge("spire_relay_topics", "Topics that are followed upstream.")
        upstream.on_state(self._upstream_changed)

    @property
    def followed(self) -> tuple[str, ...]:
        """The names of the topics that are followed upstream."""
        return tuple(self._relayed)

    def refusal(self, session: Session, name: str) -> SpireError | None:
        """Return why a session may not read a topic, or None. Raises NotFound for a name or instrument that is none."""
        if name == FEED_SESSIONS_TOPIC:
            return None
        try:
            record_type, instrument = parse_topic(name)
        except ValueError as error:
            raise NotFound(str(error), topic=name) from None
        return self._rights.refusal(session.identity, instrument, record_type)

    async def open_topic(self, session: Session, name: str) -> Topic:  # noqa: ARG002 (the gate has checked it)
        """Return a topic, which is followed from its first reader on. Raises Unavailable while Market Data is away."""
        if name == FEED_SESSIONS_TOPIC:
            return self._markets.topic
        relayed = self._relayed.get(name)
        if relayed is None:
            self._require_upstream()
            relayed = self._relayed[name] = RelayedTopic(
                name,
                session=self._upstream,
                history=self.history,
                publisher=self._publisher,
                clock=self._clock,
                ended=self._forget,
            )
            self._gauge.set(len(self._relayed))
            relayed.start()
        return await relayed.when_open()

    async def snapshot(
        self, session: Session, instrument: int, kept: MarketSnapshot | None, *, with_book: bool
    ) -> MarketSnapshot:
        """Return Market Data's snapshot, or what the session goes on to read; of a type that it may not see, nothing and 0.

        Raises Forbidden where it may see none.
        """
        types = tuple(RecordType) if with_book else (RecordType.TRADE, RecordType.BBO)
        visible = self._rights.visible(session.identity, instrument, types)
        snapshot = kept
        if snapshot is None:
            snapshot = await self._answered(
                self._market_data.snapshot(instrument, with_book=RecordType.BOOK in visible)
            )
            visible &= self._rights.visible(session.identity, instrument, types)
        hidden = {name: value for kind in set(RecordType) - visible for name, value in _NOTHING[kind].items()}
        return evolve(snapshot, **hidden) if hidden else snapshot

    async def last_records(self, session: Session, instrument: int, trade_date: str) -> dict[str, Any]:
        """Return Market Data's answer to FindLastRecords; nothing of a type that the session may not see.

        Raises Forbidden where it may see none.
        """
        types = (RecordType.TRADE, RecordType.BBO)
        visible = self._rights.visible(session.identity, instrument, types)
        answer = await self._answered(
            self._upstream.call(
                FindLastRecords, timeout_seconds=CALL_SECONDS, instrument=instrument, trade_date=trade_date
            )
        )
        visible &= self._rights.visible(session.identity, instrument, types)
        names = {RecordType.TRADE: "trade", RecordType.BBO: "bbo"}
        return {name: answer[name] if kind in visible else b"" for kind, name in names.items()}

    def sweep(self) -> None:
        """Close topics that nobody has read for the time of lingering."""
        now = self._clock.monotonic()
        for relayed in tuple(self._relayed.values()):
            if relayed.is_used:
                relayed.last_used = now
            elif now - relayed.last_used >= self._linger_seconds:
                relayed.close()
                self._forget(relayed)

    def close(self) -> None:
        """Follow nothing more."""
        for relayed in tuple(self._relayed.values()):
            relayed.close()
            self._forget(relayed)

    async def _answered(self, asked: Awaitable[R]) -> R:
        try:
            return await asked
        except (Forbidden, NotAuthenticated) as error:
            raise Unavailable(f"The relay may not read Market Data: {error.message}") from error

    def _require_upstream(self) -> None:
        if not self._upstream.is_ready:
            raise Unavailable(f"Market Data is away ({self._upstream.reason}); it is tried again by itself.")

    def _upstream_changed(self, is_ready: bool) -> None:
        if not is_ready:
            for relayed in tuple(self._relayed.values()):
                relayed.give_up_opening(Unavailable("Market Data was lost; it is tried again by itself."))

    def _forget(self, relayed: RelayedTopic) -> None:
        if self._relayed.get(relayed.name) is relayed:
            del self._relayed[relayed.name]
            self._gauge.set(len(self._relayed))
