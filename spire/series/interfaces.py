"""What a room that has history implements."""

from collections.abc import AsyncIterator
from typing import Any

from attrs import frozen
from zope.interface import Interface

from spire.series.query import Query
from spire.wire.records import Codec
from spire.wire.server_session import Session
from spire.wire.topics import HistoryChunk


@frozen(kw_only=True)
class Series:
    """The answer to a query: where its topic stood, and the chunks that hold the records, in order.

    `through` is the last sequence that was visible when the query was taken: a subscription after it in `epoch`
    continues without a hole. A chunk holds all matching records up to its own `through`; it may be of any size.
    """

    epoch: int
    through: int
    codec: Codec[Any]
    chunks: AsyncIterator[HistoryChunk]


class ISeries(Interface):
    """The history of a room's log topics."""

    async def load(session: Session, query: Query) -> Series:
        """Return the records that match `query`, oldest first, as `session` may see them.

        Raises NotFound, Forbidden, Invalid for a query that makes no sense here, Unavailable. The chunks may raise
        them too.
        """
