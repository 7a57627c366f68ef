"""What is in force, in memory and on the state topics: whole ones, and those of one account that are made on demand."""

from typing import Any

from attrs import evolve
from zope.interface import implementer

from spire.administration import access
from spire.administration.interfaces import Change, Stored
from spire.administration.values import (
    BUSINESS_DAYS,
    ENTITLEMENTS,
    IDENTITIES,
    LIMITS,
    RISK_STATES,
    BusinessDay,
    EntitlementGrant,
    Identity,
    Limits,
    RiskState,
    current_day,
    own_topic,
)
from spire.locator.directory import ADMINISTRATOR, Directory, is_server
from spire.wire.errors import Forbidden, NotFound, SpireError
from spire.wire.identity import Identity as Caller
from spire.wire.publisher import Publisher, Topic
from spire.wire.server_session import Session
from spire.wire.state_topic import StateTopic
from spire.wire.topics import ITopics


@implementer(ITopics)
class Board:
    """The rows of Administration's topics, and who may follow which.

    A topic of one account is made when it is first asked for, and kept: there are no more of them than accounts.
    """

    def __init__(self, publisher: Publisher, *, directory: Directory, instance_id: str) -> None:
        self._publisher = publisher
        self._directory = directory
        self._instance_id = instance_id
        self._readers: dict[Session, set[str]] = {}
        self.limits: StateTopic[Limits] = publisher.state(LIMITS, Limits, instance_id=instance_id)
        self.states: StateTopic[RiskState] = publisher.state(RISK_STATES, RiskState, instance_id=instance_id)
        self.grants: StateTopic[EntitlementGrant] = publisher.state(
            ENTITLEMENTS, EntitlementGrant, instance_id=instance_id
        )
        self.identities: StateTopic[Identity] = publisher.state(IDENTITIES, Identity, instance_id=instance_id)
        self.days: StateTopic[BusinessDay] = publisher.state(BUSINESS_DAYS, BusinessDay, instance_id=instance_id)

    @property
    def current_day(self) -> BusinessDay | None:
        """The current business day; None before the first was opened."""
        return current_day(self.days.rows)

    def limits_of(self, trading_account_id: int) -> Limits | None:
        """Return the limits of a trading account; None where they were never set."""
        return self.limits.rows.get(str(trading_account_id))

    def state_of(self, trading_account_id: int) -> RiskState | None:
        """Return the risk state of a trading account; None where it was never set."""
        return self.states.rows.get(str(trading_account_id))

    def identity_of(self, account_id: int) -> Identity | None:
        """Return the identity of an account; None where it was never written."""
        return self.identities.rows.get(str(account_id))

    def grant(self, grant_id: int) -> EntitlementGrant | None:
        """Return a grant that is not revoked."""
        return self.grants.rows.get(str(grant_id))

    def take(self, stored: Stored) -> None:
        """Show everything as the store has it; only what differs is a change."""
        self.limits.replace({str(row.trading_account_id): row for row in stored.limits})
        self.states.replace({str(row.trading_account_id): row for row in stored.states})
        self.grants.replace({str(row.grant_id): row for row in stored.grants})
        self.identities.replace({str(row.account_id): row for row in stored.identities})
        self.days.replace({row.business_date: row for row in stored.days})
        for topic in tuple(self._publisher.topics):
            kind, _, number = topic.name.partition("/")
            if number and isinstance(topic, StateTopic):
                topic.replace(self._own_rows(kind, int(number)))

    def show(self, change: Change) -> None:
        """Show a change that the store holds."""
        match change:
            case Limits():
                self._put(self.limits, change.trading_account_id, change.trading_account_id, change)
            case RiskState():
                self._put(self.states, change.trading_account_id, change.trading_account_id, change)
            case Identity():
                self.identities.put(str(change.account_id), change)
            case EntitlementGrant(revoked=None):
                self._put(self.grants, change.terms.account_id, change.grant_id, change)
            case EntitlementGrant():
                self.grants.remove(str(change.grant_id))
                own = self._publisher.find(own_topic(ENTITLEMENTS, change.terms.account_id))
                if isinstance(own, StateTopic):
                    own.remove(str(change.grant_id))
            case BusinessDay():
                for date, day in tuple(self.days.rows.items()):
                    if day.closed is None:
                        self.days.put(date, evolve(day, closed=change.opened))
                self.days.put(change.business_date, change)

    def _put(self, topic: StateTopic[Any], entry_id: int, key: int, row: object) -> None:
        topic.put(str(key), row)
        own = self._publisher.find(own_topic(topic.name, entry_id))
        if isinstance(own, StateTopic):
            own.put(str(key), row)

    # Who follows what

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return a topic that a session may follow. Raises NotFound, Forbidden."""
        self._require(session.identity, name)
        topic = self._publisher.find(name)
        if topic is None:
            kind, _, number = name.partition("/")
            whole = {LIMITS: Limits, RISK_STATES: RiskState, ENTITLEMENTS: EntitlementGrant}[kind]
            made: StateTopic[Any] = self._publisher.state(name, whole, instance_id=self._instance_id)
            made.replace(self._own_rows(kind, int(number)))
            topic = made
        if session not in self._readers:
            self._readers[session] = set()
            session.on_close(lambda: self._readers.pop(session, None))
        self._readers[session].add(name)
        return topic

    def rights_changed(self) -> None:
        """Close the sessions that follow what they may not see any more: a right that is withdrawn ends at once."""
        for session, names in tuple(self._readers.items()):
            try:
                for name in names:
                    self._require(session.identity, name)
            except SpireError:
                session.close(Forbidden("A right to see limits or entitlements was withdrawn; log in again."))

    def _require(self, caller: Caller, name: str) -> None:
        """Raise NotFound for no topic, Forbidden where the caller may not follow it."""
        kind, slash, number = name.partition("/")
        if kind not in (LIMITS, RISK_STATES, ENTITLEMENTS, IDENTITIES, BUSINESS_DAYS):
            raise NotFound(f"There is no topic {name}.", topic=name)
        if not slash:
            self._require_whole(caller, kind)
            return
        if (
            kind in (IDENTITIES, BUSINESS_DAYS)
            or not (number.isascii() and number.isdigit())
            or str(int(number)) != number
        ):
            raise NotFound(f"There is no topic {name}.", topic=name)
        if kind != ENTITLEMENTS:
            access.require_view(self._directory, caller, int(number))
        elif is_server(self._directory, caller):
            access.account(self._directory, int(number))
        else:
            access.require_own(self._directory, caller, int(number), ADMINISTRATOR)

    def _require_whole(self, caller: Caller, name: str) -> None:
        """Raise Forbidden where the caller may not follow a topic of everybody; business days are everybody's."""
        if name == IDENTITIES:
            if not access.holds_role(self._directory, caller, access.SEES_IDENTITIES):
                raise Forbidden("Only administrators and auditors follow who people are.", topic=name)
        elif name != BUSINESS_DAYS and not access.sees_all(self._directory, caller):
            raise Forbidden(
                f"Only servers, administrators, risk officers and auditors follow all of {name}.", topic=name
            )

    def _own_rows(self, kind: str, number: int) -> dict[str, Any]:
        if kind == ENTITLEMENTS:
            return {key: grant for key, grant in self.grants.rows.items() if grant.terms.account_id == number}
        rows = (self.limits if kind == LIMITS else self.states).rows
        return {str(number): rows[str(number)]} if str(number) in rows else {}
