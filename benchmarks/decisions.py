"""What a decision costs under ten compliance rules, beside one without rules, in one process.

    python -m benchmarks.decisions [--rounds 5] [--orders 20000] [--pin]

A decision is what Order Execution does in one reactor turn between an order's arrival and its journal: limits, risk state,
rules and conversions are put together (`Inputs.controls`), and the order is held against all of them (`decide`). Ten rules are
three on the root, four on the group and three on the account: sizes, counts of live orders together and per account,
restricted instruments. A group of 100 trading accounts has 20 live orders each. Both kinds take turns in each round.
"""

import datetime
import json
from time import perf_counter, process_time
from typing import Any, cast

from benchmarks.bench import Run, describe, median, options
from spire.administration.client import AdministrationClient
from spire.administration.values import Limits, LimitTerms
from spire.compliance.client import ComplianceClient
from spire.compliance.values import RuleEntry
from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Alias, Instrument, InstrumentType
from spire.definitions.instruments import Terms as InstrumentTerms
from spire.definitions.rates import find_conversion
from spire.definitions.values import Destination, TickStep, TickTable
from spire.execution.decide import Holding, Market, Terms, decide
from spire.execution.form import Resolved, resolve
from spire.execution.inputs import Inputs
from spire.execution.matching import Quote
from spire.execution.orders import Orders
from spire.execution.values import Activity, OrderRequest, Refusal
from spire.locator.directory import Directory
from spire.locator.values import Entry, Kind
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.amounts import Money, Price, Quantity, whole
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.orders import Capacity, Channel, OrderType, Side, TimeInForce, TradingSession
from spire.values.risk import RuleState
from spire.values.submission import DecisionSnapshot, Submission
from spire.values.tickers import Ticker
from spire.values.time import Timestamp

USD, XNYS = Currency("USD"), Venue("XNYS")
ROOT, GROUP, FIRST_ACCOUNT = 1, 2, 10
ACCOUNTS, LIVE = 100, 20
TICKS = TickTable(name="us", steps=(TickStep(from_price=Price(0), tick=Price(10_000)),))
MARKET = Market(
    market_time=Timestamp(60),
    trade_date="2013-10-08",
    has_window=True,
    window_end=Timestamp(100),
    quote=Quote(
        sequence=9,
        bid=Price(13_990_000),
        bid_size=Quantity(whole(5)),
        ask=Price(14_000_000),
        ask_size=Quantity(whole(6)),
        time=Timestamp(50),
    ),
    quote_epoch=1,
    age=5,
    is_stale=False,
)
RULES: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (ROOT, "max_quantity", {"quantity": "100000"}),
    (ROOT, "restricted_instruments", {"instrument_ids": [str(number) for number in range(500, 600)]}),
    (ROOT, "order_count_limit", {"count": "100000", "counted": "TOGETHER"}),
    (GROUP, "max_quantity", {"quantity": "50000"}),
    (GROUP, "restricted_instruments", {"instrument_ids": ["700", "701"]}),
    (GROUP, "order_count_limit", {"count": "50000", "counted": "TOGETHER"}),
    (GROUP, "order_count_limit", {"count": "1000", "counted": "PER_ACCOUNT"}),
    (FIRST_ACCOUNT, "max_quantity", {"quantity": "20000"}),
    (FIRST_ACCOUNT, "restricted_instruments", {"instrument_ids": ["900"]}),
    (FIRST_ACCOUNT, "order_count_limit", {"count": "500", "counted": "PER_ACCOUNT"}),
)


class Rows:
    """A view whose rows stand still."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows
        self.observers: list[Any] = []

    def observe(self, callback: Any) -> None:
        """Tell of the rows that are there."""
        for key, row in self.rows.items():
            callback(key, None, row)

    def observe_version(self, callback: Any) -> None:
        """Tell that they are there."""
        callback()


class Sources:
    """What Administration, Compliance and Definitions would say."""

    def __init__(self, rules: int) -> None:
        terms = LimitTerms(
            currency=USD, buying_power=Money(whole(10_000_000)), net_loss=Money(whole(1000)), transition_seconds=60
        )
        self._limits = {
            str(number): Limits(
                trading_account_id=number, terms=terms, version=3, reason="", actor=1, effective_from=Timestamp(1)
            )
            for number in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
        }
        self._rules = {
            str(place): RuleEntry(
                rule_id=place,
                entry_id=entry,
                schema=schema,
                parameters=json.dumps(parameters),
                state=RuleState.ACTIVE,
                version=1,
                author=1,
                reason="",
                updated=Timestamp(1),
            )
            for place, (entry, schema, parameters) in enumerate(RULES[:rules], 1)
        }
        self.rates = self

    def limits(self) -> Rows:
        """Return limits for every account."""
        return Rows(self._limits)

    def risk_states(self) -> Rows:
        """Return none: all are ACTIVE."""
        return Rows({})

    def business_days(self) -> Rows:
        """Return none."""
        return Rows({})

    def rules(self) -> Rows:
        """Return the rules."""
        return Rows(self._rules)

    def conversion(self, base: Currency, counter: Currency) -> Any:
        """Return how to convert."""
        return find_conversion((), base, counter)


def make_orders(directory: Directory) -> Orders:
    """Return the accounts of a group with their live orders, and put them into the directory."""
    orders = Orders(epoch=1)
    directory.put(Entry(entry_id=ROOT, kind=Kind.DIRECTORY, name="*"))
    directory.put(Entry(entry_id=GROUP, kind=Kind.DIRECTORY, name="group", parents=(ROOT,)))
    for number in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS):
        directory.put(Entry(entry_id=number, kind=Kind.TRADING_ACCOUNT, name=f"a{number}", parents=(GROUP,)))
        for place in range(1, LIVE + 1):
            orders.fold(
                Activity(
                    sequence=place,
                    epoch=1,
                    time=Timestamp(1),
                    trading_account_id=number,
                    submission=submission(number, number * 1000 + place),
                )
            )
    return orders


def submission(account: int, order_id: int) -> Submission:
    """Return a limit order that rests."""
    return Submission(
        order_id=order_id,
        client_order_id=str(order_id),
        environment=Environment.DEMO,
        trading_account_id=account,
        entered_by=1,
        session="s",
        channel=Channel.AMP,
        instrument_id=42,
        ticker=Ticker("ACME", XNYS),
        destination="SIMULATION",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Quantity(whole(1)),
        limit_price=Price(whole(13)),
        time_in_force=TimeInForce.DAY,
        trading_session=TradingSession.REGULAR,
        currency=USD,
        capacity=Capacity.AGENCY,
        received=Timestamp(1),
        accepted=Timestamp(1),
        trade_date="2013-10-08",
        business_date="2013-10-08",
        decision=DecisionSnapshot(),
    )


def make_request() -> Resolved:
    """Return the order that is decided."""
    since = datetime.date(2000, 1, 1)
    instrument = Instrument(
        instrument_id=42,
        name="Acme",
        aliases=(Alias(ticker=Ticker("ACME", XNYS), effective_from=since),),
        terms=(
            InstrumentTerms(
                effective_from=since,
                type=InstrumentType.EQUITY,
                listing_venue=XNYS,
                currency=USD,
                tick_table="us",
                order_increment=Quantity(whole(1)),
                round_lot=Quantity(whole(100)),
            ),
        ),
    )
    request = OrderRequest(
        client_order_id="a",
        trading_account_id=FIRST_ACCOUNT,
        ticker="ACME.XNYS",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Quantity(whole(100)),
        limit_price=Price(whole(14)),
    )
    destination = Destination(
        name="SIMULATION", description="", driver="simulation", venues=(XNYS,), preferred_for=(XNYS,)
    )
    resolved = resolve(request, instrument, (destination,), None, frozenset({"simulation"}))
    assert not isinstance(resolved, Refusal)
    return resolved


class Decider:
    """Decides the same order again and again under so many rules."""

    def __init__(self, rules: int, orders: Orders, directory: Directory) -> None:
        sources = Sources(rules)
        self._clock = Clock(None)  # type: ignore[arg-type] # only its clocks are read
        self._inputs = Inputs(
            administration=cast("AdministrationClient", sources),
            compliance=cast("ComplianceClient", sources),
            definitions=cast("DefinitionsClient", sources),
            directory=directory,
            orders=orders,
            clock=self._clock,
            metrics=Metrics(),
        )
        self._orders = orders
        self._order = make_request()
        self._terms = Terms(collar=500, margin=5000)

    def run(self, count: int) -> Run:
        """Decide so many times."""
        account = self._orders.account(FIRST_ACCOUNT)
        self._inputs.heard_of_risk(frozenset(), FIRST_ACCOUNT + ACCOUNTS)
        began, cpu = perf_counter(), process_time()
        for _ in range(count):
            holding = Holding(
                position=account.positions.get(42), use=account.use(42), used_elsewhere=account.used_elsewhere(42)
            )
            controls = self._inputs.controls(account, USD, by_risk=False)
            decision = decide(self._order, MARKET, holding, TICKS, self._terms, controls)
            if decision.refusal is not None:
                raise RuntimeError(f"the order was refused: {decision.refusal}")
        return Run(rate=count / (perf_counter() - began), cpu_us=(process_time() - cpu) / count * 1e6)


def begin() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.set_defaults(rounds=5)
    parser.add_argument("--orders", type=int, default=20_000)
    arguments = parser.parse_args()
    print(describe(arguments.pin))
    directory = Directory()
    orders = make_orders(directory)
    kinds = {"no rules": Decider(0, orders, directory), "ten rules": Decider(len(RULES), orders, directory)}
    runs: dict[str, list[Run]] = {name: [] for name in kinds}
    for turn in range(arguments.rounds + 1):
        for name, decider in kinds.items():
            run = decider.run(arguments.orders)
            if turn:
                runs[name].append(run)
    found = {name: median(each) for name, each in runs.items()}
    for name, run in found.items():
        print(f"a decision with {name:10} {run.rate:10,.0f}/s  CPU {run.cpu_us:6.1f} us")
    print(f"ratio x{found['ten rules'].cpu_us / found['no rules'].cpu_us:.2f}")


if __name__ == "__main__":
    begin()
