"""The configuration of Order Execution."""

from typing import Final

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, gt, in_, instance_of, le

from spire.service.configuration import setting
from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration
from spire.values.environment import Environment
from spire.values.time import parse_zone

SIMULATION: Final = "simulation"
DRIVERS: Final = (SIMULATION,)


@frozen(kw_only=True)
class OrderExecutionSection:
    """How orders are priced against limits, and where quotes come from.

    `collar` is how far above the ask (in basis points) a market order counts, `short_margin` what a short counts beyond its price.
    `firm_zone` is the zone whose date is the business date until Administration has opened one. `market_data_service` is
    the service whose quotes decide. An opening order that the database does not hold after `store_seconds` ends as
    STORE_DOWN.
    """

    firm_zone: str = setting(parse=parse_zone, default="America/New_York")
    market_data_service: str = "market_data_relay_service"
    collar: int = field(default=500, validator=[ge(0), le(10_000)])
    short_margin: int = field(default=5_000, validator=[ge(0), le(100_000)])
    store_seconds: float = field(default=2.0, validator=gt(0.0))
    drivers: tuple[str, ...] = field(default=DRIVERS, validator=deep_iterable(in_(DRIVERS), instance_of(tuple)))
    ring_bytes: int = field(default=64 * 1024 * 1024, validator=gt(0))


@frozen(kw_only=True)
class OrderExecutionConfiguration(ServerConfiguration):
    """The whole configuration file. PRODUCTION refuses the simulation driver."""

    locator: LocatorSection
    database: DatabaseSection
    order_execution: OrderExecutionSection

    def __attrs_post_init__(self) -> None:
        """Check what belongs together."""
        if self.environment is Environment.PRODUCTION and SIMULATION in self.order_execution.drivers:
            raise ValueError("PRODUCTION refuses the simulation driver: set order_execution.drivers")
        if self.run.journal_directory is None:
            raise ValueError("run.journal_directory is missing; Order Execution keeps a journal")
