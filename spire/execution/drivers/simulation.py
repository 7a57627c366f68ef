"""The simulated destination: fills orders against the best bid and offer, and confirms their ends (docs/order-execution.md)."""

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from spire.definitions.instruments import Instrument
from spire.execution.interfaces import IDriver
from spire.execution.matching import NO_SESSIONS, Fill, Market, Outcome, Quote, WorkingOrder, working
from spire.execution.upstream import Hours, MarketUpstream, Shown
from spire.execution.values import Execution, OrderView
from spire.values.amounts import ZERO_QUANTITY, Quantity
from spire.values.orders import (
    BookSide,
    ExecType,
    Liquidity,
    ReportSource,
    Side,
    Status,
    TimeInForce,
)
from spire.values.submission import Submission, Terms
from spire.values.time import Timestamp

AFTER_RESTART = "the simulated venue restarted"


@define(eq=False)
class Venue:
    """The book of one instrument, and the trade date that its quotes have reached."""

    instrument: Instrument
    market: Market = field(factory=Market)
    trade_date: str = ""


@implementer(IDriver)
class SimulationDriver:
    """Keeps a simulated book of each instrument and follows its quotes.

    `report` is called with every execution, in order; `find_instrument` answers the instrument of an id.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        upstream: MarketUpstream,
        find_instrument: Callable[[int], Instrument],
        report: Callable[[Execution], None],
    ) -> None:
        self._upstream = upstream
        self._find_instrument = find_instrument
        self._report = report
        self._venues: dict[int, Venue] = {}
        self._places: dict[int, int] = {}
        upstream.listener = self
        upstream.markets.view.observe_version(self.check)

    # What the server asks

    def restore(self, views: Sequence[OrderView]) -> None:
        """Rest the live orders again in the order of their acceptance; IOC and FOK orders are cancelled."""
        for view in sorted(views, key=lambda view: (view.submission.accepted, view.order_id)):
            submission = view.submission
            if view.status is Status.PENDING_NEW:
                self._acknowledge(submission)
            if submission.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
                self._say(submission.order_id, ExecType.CANCELED, text=AFTER_RESTART)
                continue
            instrument = self._find_instrument(submission.instrument_id)
            self._venue(instrument).market.rest(self._working(submission, view.leaves))
            self._places[submission.order_id] = submission.instrument_id
            self._upstream.follow(instrument)

    def submit(self, submission: Submission) -> None:
        """Acknowledge an order and match it."""
        self._acknowledge(submission)
        instrument = self._find_instrument(submission.instrument_id)
        venue = self._venue(instrument)
        self._places[submission.order_id] = submission.instrument_id
        hours = self._hours_now(instrument)
        is_fresh = not self._upstream.is_stale(instrument)
        outcomes = venue.market.submit(
            self._working(submission, submission.quantity),
            NO_SESSIONS if hours is None else hours.open_sessions,
            is_fresh=is_fresh,
        )
        self._tell(venue, outcomes)
        if not self._upstream.is_prepared(submission.instrument_id):
            self._upstream.follow(instrument)

    def cancel(self, order_id: int, actor: int | None) -> None:
        """Take an order off the book and confirm it."""
        venue = self._find(order_id)
        order = None if venue is None else venue.market.cancel(order_id)
        if order is None:
            self._say(order_id, ExecType.CANCEL_REJECTED, text="the order does not work here", actor=actor)
            return
        self._places.pop(order_id, None)
        self._say(order_id, ExecType.CANCELED, actor=actor)

    def replace(self, order_id: int, version: int, terms: Terms, actor: int | None) -> None:
        """Work other terms: a new limit or a greater quantity loses the place in time."""
        venue = self._find(order_id)
        order = None if venue is None else venue.market.find(order_id)
        if venue is None or order is None:
            self._say(order_id, ExecType.REPLACE_REJECTED, text="the order does not work here", actor=actor)
            return
        leaves = Quantity(terms.quantity - (order.quantity - order.leaves))
        if leaves <= 0:
            self._say(order_id, ExecType.REPLACE_REJECTED, text="that much has filled already", actor=actor)
            return
        order.quantity = terms.quantity
        venue.market.replace(order_id, leaves, terms.limit_price)
        self._report(
            Execution(
                order_id=order_id,
                exec_type=ExecType.REPLACED,
                order_quantity=terms.quantity,
                version=version,
                actor=actor,
            )
        )

    def update(self, execution: Execution) -> None:
        """Follow what a person says of an order (its end, a fill made elsewhere), and report it."""
        venue = self._find(execution.order_id)
        order = None if venue is None else venue.market.find(execution.order_id)
        if venue is not None and order is not None:
            if execution.exec_type is ExecType.TRADE:
                leaves = Quantity(max(0, order.leaves - execution.quantity))
                if leaves:
                    venue.market.replace(order.order_id, leaves, order.limit)
                else:
                    venue.market.cancel(order.order_id)
            elif execution.exec_type in (ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED, ExecType.DONE_FOR_DAY):
                venue.market.cancel(order.order_id)
        self._report(execution)

    # What the market says

    def caught_up(self, instrument: Instrument, quote: Quote | None, taken: dict[Side, Quantity]) -> None:
        """Begin at the current quote, less what an earlier run took of it."""
        market = self._venue(instrument).market
        if quote is None:
            return
        is_first = market.quote is None
        market.show(quote)
        if is_first:
            market.restore_taken(BookSide.ASK, taken.get(Side.BUY, ZERO_QUANTITY))
            market.restore_taken(BookSide.BID, taken.get(Side.SELL, ZERO_QUANTITY))

    def quoted(self, instrument: Instrument, quotes: Shown) -> None:
        """Fill what the next quotes reach."""
        venue = self._venue(instrument)
        if venue.market.is_idle:
            bid_changed, ask_changed = quotes.changed(venue.market.quote)
            venue.market.show(quotes.last(), bid_changed=bid_changed, ask_changed=ask_changed)
            return
        for quote in quotes.each():
            hours = self._upstream.hours(instrument, quote.time)
            if hours is None:
                venue.market.show(quote)
                continue
            if hours.open_sessions and hours.trade_date != venue.trade_date:
                venue.trade_date = hours.trade_date
                self._tell(venue, venue.market.expire(quote.time, hours.trade_date))
            self._tell(venue, venue.market.on_quote(quote, hours.open_sessions))

    def check(self) -> None:
        """End the orders whose session is over; called each second and when a feed session changes."""
        for venue in self._venues.values():
            if venue.market.is_idle:
                continue
            state = self._upstream.state(venue.instrument)
            market_time = self._upstream.market_time(venue.instrument)
            if state is not None:
                self._tell(venue, venue.market.expire(market_time or Timestamp(0), state.trade_date))

    # Saying

    def _acknowledge(self, submission: Submission) -> None:
        self._report(
            Execution(order_id=submission.order_id, exec_type=ExecType.NEW, venue_order_id=f"S{submission.order_id}")
        )

    def _tell(self, venue: Venue, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Fill):
                self._report(
                    Execution(
                        order_id=outcome.order_id,
                        exec_type=ExecType.TRADE,
                        quantity=outcome.quantity,
                        price=outcome.price,
                        market=str(venue.instrument.listing_venue),
                        liquidity=Liquidity.ADDED if outcome.is_resting else Liquidity.REMOVED,
                        quote_sequence=outcome.quote.sequence,
                        quote_taken=outcome.taken,
                        venue_time=outcome.quote.time,
                        market_time=outcome.quote.time,
                    )
                )
            else:
                self._say(
                    outcome.order_id,
                    ExecType.EXPIRED if outcome.is_expired else ExecType.CANCELED,
                    text=outcome.text,
                )
        for outcome in outcomes:
            if venue.market.find(outcome.order_id) is None:
                self._places.pop(outcome.order_id, None)

    def _say(self, order_id: int, exec_type: ExecType, *, text: str | None = None, actor: int | None = None) -> None:
        source = ReportSource.DRIVER
        self._report(Execution(order_id=order_id, exec_type=exec_type, text=text, actor=actor, source=source))

    # Finding

    def _venue(self, instrument: Instrument) -> Venue:
        venue = self._venues.get(instrument.instrument_id)
        if venue is None:
            venue = self._venues[instrument.instrument_id] = Venue(instrument)
        return venue

    def _find(self, order_id: int) -> Venue | None:
        place = self._places.get(order_id)
        return None if place is None else self._venues.get(place)

    def _hours_now(self, instrument: Instrument) -> Hours | None:
        moment = self._upstream.market_time(instrument)
        return None if moment is None else self._upstream.hours(instrument, moment)

    def _working(self, submission: Submission, leaves: Quantity) -> WorkingOrder:
        instrument = self._find_instrument(submission.instrument_id)
        _, window_end = self._upstream.window_end(instrument, submission.trade_date, submission.trading_session)
        return working(submission, leaves, window_end)
