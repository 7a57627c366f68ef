"""Configuration of the Market Data Server."""

from attrs import Factory, field, frozen
from attrs.validators import gt

from spire.service.sections import DatabaseSection, ListenSection, LocatorSection, ServerConfiguration


@frozen(kw_only=True)
class MarketDataSection:
    """How much the server keeps ahead of the store, and how patient it is.

    `backlog_records` is the number of unstored records at which feeds are asked to wait (twice that is refused); `store_seconds` is
    how long records are gathered for a block; `feed_grace_seconds` how long a feed may be away before its book rows are removed;
    `ring_bytes` bounds what is kept in memory for subscribers that resume.
    """

    backlog_records: int = field(default=2_000_000, validator=gt(0))
    store_seconds: float = field(default=2.0, validator=gt(0.0))
    feed_grace_seconds: float = field(default=10.0, validator=gt(0.0))
    ring_bytes: int = field(default=256 * 1024 * 1024, validator=gt(0))


@frozen(kw_only=True)
class MarketDataConfiguration(ServerConfiguration):
    """The whole configuration file; `feed_server` is the port of feeds."""

    locator: LocatorSection
    database: DatabaseSection
    feed_server: ListenSection
    market_data: MarketDataSection = Factory(MarketDataSection)
