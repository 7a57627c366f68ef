"""What Risk looks at beside positions and the market: the directory, limits, risk states, halts, days, exchange rates."""

from collections.abc import Callable, Mapping

from attrs import frozen

from spire.administration.client import AdministrationClient
from spire.administration.values import BusinessDay, Limits, RiskState, current_day
from spire.definitions.client import DefinitionsClient
from spire.definitions.rates import Conversion
from spire.definitions.values import Dataset
from spire.execution.client import OrderExecutionClient
from spire.execution.values import Halt
from spire.locator.directory import Directory
from spire.locator.values import Entry, Kind
from spire.risk.states import Announced, Bounds, Standing
from spire.runtime.clock import Clock
from spire.values.amounts import Money, Rounding
from spire.values.codes import Currency
from spire.values.risk import HaltMode, HaltScope, RiskMode
from spire.values.time import local_date
from spire.wire.state_view import StateView


@frozen(kw_only=True)
class Bound:
    """The bounds of an account, and the currency of its limits where no rate converts it: then it has no bounds."""

    bounds: Bounds | None = None
    unconverted: str | None = None


class Facts:
    """Views of what others own, and what this server has just written and does not see come back yet.

    `own_id` answers the account that this server is logged in with. Views hold as last received.
    """

    def __init__(
        self,
        *,
        administration: AdministrationClient,
        orders: OrderExecutionClient,
        definitions: DefinitionsClient,
        directory: Directory,
        own_id: Callable[[], int],
        firm_zone: str,
        clock: Clock,
    ) -> None:
        self.limits: StateView[Limits] = administration.limits()
        self.states: StateView[RiskState] = administration.risk_states()
        self.days: StateView[BusinessDay] = administration.business_days()
        self.halts: StateView[Halt] = orders.halts()
        self._definitions = definitions
        self._directory = directory
        self._own_id = own_id
        self._firm_zone = firm_zone
        self._clock = clock
        self._written: dict[int, RiskState] = {}
        self._conversions: dict[tuple[Currency, Currency], Conversion | None] = {}
        self._rates_version = -1
        self._announced: dict[int, Announced] = {}
        self._persons: dict[int, list[Halt]] = {}
        self.halts.observe_version(self._index_halts)

    async def when_ready(self) -> None:
        """Wait for the first snapshots."""
        for view in (self.limits, self.states, self.days, self.halts):
            await view.when_ready()

    def close(self) -> None:
        """Follow nothing any more."""
        for view in (self.limits, self.states, self.days, self.halts):
            view.close()

    # The directory

    def trading_accounts(self) -> Mapping[int, Entry]:
        """Return all trading accounts by id."""
        return {entry.entry_id: entry for entry in self._directory if entry.kind is Kind.TRADING_ACCOUNT}

    def name(self, account_id: int) -> str:
        """Return a trading account's name."""
        entry = self._directory.get(account_id)
        return str(account_id) if entry is None else entry.name

    # Administration

    def bound(self, account_id: int, currency: Currency) -> Bound:
        """Return the bounds of an account, its net loss in `currency`, rounded to the stricter side."""
        limits = self.limits.rows.get(str(account_id))
        if limits is None:
            return Bound()
        terms = limits.terms
        conversion = self.convert(terms.currency, currency)
        if conversion is None:
            return Bound(unconverted=str(terms.currency))
        return Bound(
            bounds=Bounds(
                net_loss=Money(conversion.convert(terms.net_loss, Rounding.FLOOR)),
                transition_seconds=terms.transition_seconds,
                allowed_state=terms.allowed_state,
            )
        )

    def allowed(self, account_id: int) -> RiskMode:
        """Return the most that an account may do on any day."""
        limits = self.limits.rows.get(str(account_id))
        return RiskMode.ACTIVE if limits is None else limits.terms.allowed_state

    def standing(self, account_id: int) -> Standing:
        """Return the risk state that holds, as the newest of what was received and what was written here."""
        row = self.states.rows.get(str(account_id))
        written = self._written.get(account_id)
        if written is not None and (row is None or written.version > row.version):
            row = written
        if row is None:
            return Standing()
        return Standing(mode=row.mode, version=row.version, expiry=row.expiry, since=row.since)

    def wrote(self, state: RiskState) -> None:
        """Take note of a risk state that this server has written."""
        self._written[state.trading_account_id] = state

    def forget(self, account_id: int) -> None:
        """Believe what is received of an account's state, not what was written: Administration says that it is another."""
        self._written.pop(account_id, None)

    def business_date(self) -> str:
        """Return the current business date; before the first was opened the date of the firm's zone."""
        day = current_day(self.days.rows)
        return local_date(self._clock.now(), self._firm_zone).isoformat() if day is None else day.business_date

    # Order Execution

    def announced(self, account_id: int) -> Announced | None:
        """Return the halt of this server's own that is in force on an account."""
        return self._announced.get(account_id)

    def own_halts(self, account_id: int) -> list[Halt]:
        """Return the halts that this server has set on an account."""
        return [
            halt
            for halt in self.halts.rows.values()
            if halt.set_by == self._own_id() and halt.scope is HaltScope.TRADING_ACCOUNT and halt.scope_id == account_id
        ]

    def persons_halts(self, account_id: int) -> list[Halt]:
        """Return the halts of persons that hold for an account: its own, and those of the firm."""
        return [*self._persons.get(0, ()), *self._persons.get(account_id, ())]

    def stopped(self, account_id: int) -> str | None:
        """Return why not even Risk's orders pass, if a person stopped every order."""
        for halt in self.persons_halts(account_id):
            if halt.mode is HaltMode.NO_NEW:
                return f"halt {halt.halt_id} stops every order: {halt.reason}"
        return None

    def _index_halts(self) -> None:
        """Sort the halts by trading account; 0 stands for the firm."""
        announced: dict[int, Announced] = {}
        persons: dict[int, list[Halt]] = {}
        for halt in self.halts.rows.values():
            place = halt.scope_id if halt.scope is HaltScope.TRADING_ACCOUNT else 0
            if halt.set_by != self._own_id():
                if halt.scope in (HaltScope.FIRM, HaltScope.TRADING_ACCOUNT):
                    persons.setdefault(place, []).append(halt)
            elif halt.announces is not None and place:
                known = announced.get(place)
                if known is None or known.version < halt.announces:
                    announced[place] = Announced(version=halt.announces, reason=halt.reason)
        self._announced, self._persons = announced, persons

    # Definitions

    def convert(self, base: Currency, counter: Currency) -> Conversion | None:
        """Return how to convert one currency into another; None where no rate says so."""
        key = (base, counter)
        if key not in self._conversions:
            self._conversions[key] = self._definitions.rates.conversion(base, counter)
        return self._conversions[key]

    def rates_changed(self) -> bool:
        """Return whether exchange rates changed since this was asked last; then they are looked at anew."""
        version = self._definitions.versions.get(Dataset.RATES.topic)
        number = 0 if version is None else version.version
        has_changed = number != self._rates_version
        if has_changed:
            self._rates_version = number
            self._conversions.clear()
        return has_changed
