"""The configuration of Order Execution."""

from typing import Final

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, gt, in_, instance_of, le

from spire.service.configuration import setting
from spire.service.sections import DatabaseSection, LocatorSection, ServerConfiguration
from spire.values.amounts import Money, parse_money
from spire.values.codes import Currency, parse_currency
from spire.values.environment import Environment
from spire.values.time import parse_zone

SIMULATION: Final = "simulation"
DRIVERS: Final = (SIMULATION,)


def _limit(text: object) -> Money:
    amount = parse_money(text) if isinstance(text, str) else None
    if amount is None or amount < 0:
        raise ValueError(f"must be an amount of 0 or more as a string, is {text!r}")
    return amount


@frozen(kw_only=True)
class OrderExecutionSection:
    """What the firm allows, and where quotes come from.

    `currency` and `buying_power` hold for each trading account; `collar` is how far above the ask (in basis points) a market order
    counts, `short_margin` what a short counts beyond its price. `firm_zone` is the zone whose date is the business date.
    `market_data_service` is the service whose quotes decide. An opening order that the database does not hold after
    `store_seconds` ends as STORE_DOWN.
    """

    currency: Currency = setting(parse=parse_currency)
    buying_power: Money = setting(parse=_limit)
    firm_zone: str = setting(parse=parse_zone, default="America/New_York")
    market_data_service: str = "market_data_service"
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
