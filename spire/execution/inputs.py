"""What Administration, Compliance and the Risk Server say, as last received, put together for one decision."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from spire.administration.client import AdministrationClient
from spire.administration.values import Limits, RiskState, current_day
from spire.compliance.client import ComplianceClient
from spire.compliance.rules import RuleBook
from spire.compliance.values import RuleEntry
from spire.definitions.client import DefinitionsClient
from spire.definitions.rates import Conversion
from spire.execution.controls import Controls, Supervision
from spire.execution.orders import Account, Orders
from spire.locator.directory import Directory
from spire.locator.values import Kind
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.values.codes import Currency
from spire.values.risk import RuleState

_NO_CONVERSIONS: Final[Mapping[Currency, Conversion | None]] = {}


class Inputs:
    """Limits, risk states, rules and the business day; they hold as last received once the first snapshots are here.

    What follows from the directory and the rules is kept until one of them changes (`directory_changed`).
    """

    def __init__(
        self,
        *,
        administration: AdministrationClient,
        compliance: ComplianceClient,
        definitions: DefinitionsClient,
        directory: Directory,
        orders: Orders,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._limits = administration.limits()
        self.risk_states = administration.risk_states()
        self._days = administration.business_days()
        self._rule_entries = compliance.rules()
        self._definitions = definitions
        self._directory = directory
        self._orders = orders
        self._clock = clock
        self._rules = RuleBook()
        self._lineages: dict[int, tuple[int, ...]] = {}
        self._beneath: dict[int, list[Account]] | None = None
        self._business_date: str | None = None
        self.supervision = Supervision()
        self._rule_entries.observe(self._rule_changed)
        self._days.observe_version(self._day_changed)
        self._age = metrics.gauge(
            "spire_execution_risk_heartbeat_age_seconds",
            "Seconds since the Risk Server's last heartbeat; -1 before it.",
        )
        self._blind = metrics.gauge(
            "spire_execution_blind_accounts", "Trading accounts that the Risk Server cannot watch."
        )
        self._age.set(-1)

    async def when_ready(self) -> None:
        """Wait for the first snapshots."""
        for view in (self._limits, self.risk_states, self._days, self._rule_entries):
            await view.when_ready()

    def close(self) -> None:
        """Follow no more."""
        for view in (self._limits, self.risk_states, self._days, self._rule_entries):
            view.close()

    def heard_of_risk(self, blind: frozenset[int], through: int) -> None:
        """Take the Risk Server's sign of life: up to which trading account it watches, but for which."""
        self.supervision.hear(self._clock.monotonic(), blind, through)
        self._blind.set(len(blind))

    # Asking

    def controls(self, account: Account, currency: Currency, *, by_risk: bool) -> Controls:
        """Return what a decision about an order of an account in a currency must heed now."""
        number = account.trading_account_id
        limits, state = self.standing(number)
        return Controls(
            by_risk=by_risk,
            halts=self._orders.halts.on(number),
            limits=limits,
            state=state,
            unsupervised=self.supervision.trouble(number, self._clock.monotonic()),
            rules=self._rules,
            lineage=self._lineage(number),
            count_live=partial(self._count_live, account),
            conversions=_NO_CONVERSIONS if limits is None else self._conversions(account, currency, limits),
        )

    def standing(self, trading_account_id: int) -> tuple[Limits | None, RiskState | None]:
        """Return the limits and the risk state of a trading account, as last received; None where they were never set."""
        key = str(trading_account_id)
        return self._limits.rows.get(key), self.risk_states.rows.get(key)

    def state_version(self, trading_account_id: int) -> int:
        """Return the version of a trading account's risk state, as last received; 0 where none was ever written."""
        state = self.risk_states.rows.get(str(trading_account_id))
        return 0 if state is None else state.version

    def business_date(self) -> str | None:
        """Return the current business date; None before the first was opened."""
        return self._business_date

    def check(self) -> str | None:
        """Measure the heartbeat's age, each second; return how long Risk has been silent, where that is too long."""
        now = self._clock.monotonic()
        age = self.supervision.age(now)
        self._age.set(-1 if age is None else age)
        return self.supervision.silent_for(now)

    # What follows

    def directory_changed(self) -> None:
        """Work out anew where accounts stand."""
        self._lineages.clear()
        self._beneath = None

    def _rule_changed(self, _: str, old: RuleEntry | None, new: RuleEntry | None) -> None:
        if new is not None:
            self._rules.put(new)
        elif old is not None:
            self._rules.remove(old)
        self._lineages.clear()

    def _day_changed(self) -> None:
        day = current_day(self._days.rows)
        self._business_date = None if day is None else day.business_date

    def _conversions(
        self, account: Account, currency: Currency, limits: Limits
    ) -> Mapping[Currency, Conversion | None]:
        """Return how the currencies of an order and of its account lead into that of the limits; nothing where all are one."""
        counter = limits.terms.currency
        foreign = {each for each in account.used if each != counter}
        if currency != counter:
            foreign.add(currency)
        if not foreign:
            return _NO_CONVERSIONS
        rates = self._definitions.rates
        return {each: rates.conversion(each, counter) for each in foreign}

    def _lineage(self, number: int) -> tuple[int, ...]:
        """Return what carries rules that bind a trading account, the root first."""
        lineage = self._lineages.get(number)
        if lineage is None:
            lineage = self._lineages[number] = tuple(
                each
                for each in self._directory.lineage(number)
                if any(rule.state is not RuleState.DISABLED for rule in self._rules.on(each))
            )
        return lineage

    def _count_live(self, account: Account, entry_id: int | None) -> int:
        if entry_id is None or entry_id == account.trading_account_id:
            return account.live
        if self._beneath is None:
            self._beneath = {}
            for entry in self._directory:
                if entry.kind is Kind.TRADING_ACCOUNT:
                    for above in self._directory.ancestry(entry.entry_id):
                        self._beneath.setdefault(above, []).append(self._orders.account(entry.entry_id))
        return sum([each.live for each in self._beneath.get(entry_id, ())])
