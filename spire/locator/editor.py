"""Who changes the directory: each command is checked, committed with its audit events, or refused and recorded as refused."""

from contextlib import AbstractAsyncContextManager
from functools import partial

from attrs import frozen

from spire.locator import changes, people
from spire.locator.commits import DirectoryCommits, Plan
from spire.locator.directory import SERVICE, Directory
from spire.locator.interfaces import ILocatorStore
from spire.locator.live import LiveLocator
from spire.locator.logins import Logins
from spire.locator.people import Move, NewPerson
from spire.locator.sessions import DISABLED, PASSWORD_CHANGED
from spire.locator.values import AccountKind, Change, Entry, Kind, Right, TradingAccountTerms, entity_of
from spire.service.audit import AuditTrail
from spire.values.audit import AuditEvent, Origin
from spire.wire.errors import Forbidden, Invalid
from spire.wire.server_session import Session


@frozen(kw_only=True)
class Deed:
    """What a session does to the directory, as the audit log will say; `asked` is recorded where it is refused.

    `origin` is from where the one acts on whose behalf a service does it, as the service says.
    """

    session: Session
    action: str
    entity: str
    asked: object = None
    reason: str | None = None
    on_behalf_of: int | None = None
    origin: Origin | None = None

    @property
    def actor(self) -> int:
        """The account whose rights count."""
        return self.session.identity.account_id


class DirectoryEditor:
    """The commands that change directory and passwords; every method takes the session first."""

    def __init__(
        self, *, live: LiveLocator, store: ILocatorStore, commits: DirectoryCommits, logins: Logins, trail: AuditTrail
    ) -> None:
        self._live = live
        self._store = store
        self._commits = commits
        self._logins = logins
        self._trail = trail

    # Entries

    async def make_account(self, session: Session, name: str, parent_id: int, kind: AccountKind, password: str) -> int:
        """Make an account."""
        deed = Deed(session=session, action="account.make", entity=f"account:{name}", asked=f"in {parent_id}")

        def plan(directory: Directory, entry_id: int) -> Change:
            return changes.make_account(directory, deed.actor, entry_id, name, parent_id, kind)

        return (await self._make(deed, plan, name, password)).put[0].entry_id

    async def make_trading_account(
        self, session: Session, name: str, parent_id: int, terms: TradingAccountTerms, trader_id: int | None
    ) -> int:
        """Make a trading account."""
        deed = Deed(session=session, action="trading_account.make", entity=f"trading_account:{name}", asked=terms)
        change = await self._change(
            deed,
            lambda directory, entry_id: changes.make_trading_account(
                directory, deed.actor, entry_id, name, parent_id, terms, trader_id
            ),
        )
        return change.put[0].entry_id

    async def make_directory(self, session: Session, name: str, parent_id: int) -> int:
        """Make a directory."""
        deed = Deed(session=session, action="directory.make", entity=f"directory:{name}", asked=f"in {parent_id}")
        change = await self._change(
            deed,
            lambda directory, entry_id: changes.make_directory(directory, deed.actor, entry_id, name, parent_id),
        )
        return change.put[0].entry_id

    async def associate(self, session: Session, entry_id: int, parent_id: int) -> None:
        """Let an entry stand in one more directory."""
        deed = self._deed(session, "entry.associate", entry_id, f"with {parent_id}")
        await self._change(deed, lambda directory, _: changes.associate(directory, deed.actor, entry_id, parent_id))

    async def detach(self, session: Session, entry_id: int, parent_id: int) -> None:
        """Take an entry out of a directory."""
        deed = self._deed(session, "entry.detach", entry_id, f"from {parent_id}")
        await self._change(deed, lambda directory, _: changes.detach(directory, deed.actor, entry_id, parent_id))

    async def rename(self, session: Session, entry_id: int, name: str) -> None:
        """Give an entry another name."""
        deed = self._deed(session, "entry.rename", entry_id, name)
        await self._change(deed, lambda directory, _: changes.rename(directory, deed.actor, entry_id, name))

    async def remove(self, session: Session, entry_id: int) -> None:
        """Remove an empty directory."""
        deed = self._deed(session, "entry.remove", entry_id)
        await self._change(deed, lambda directory, _: changes.remove(directory, deed.actor, entry_id))

    async def grant(self, session: Session, account_id: int, entry_id: int, rights: int) -> None:
        """Set the rights of an account on an entry."""
        deed = self._deed(session, "entry.grant", entry_id, f"{rights} to {account_id}")
        await self._change(
            deed, lambda directory, _: changes.grant(directory, deed.actor, account_id, entry_id, Right(rights))
        )

    async def set_capabilities(self, session: Session, account_id: int, capabilities: tuple[str, ...]) -> None:
        """Set the capabilities of an account."""
        deed = self._deed(session, "account.set_capabilities", account_id, " ".join(capabilities))
        await self._change(
            deed, lambda directory, _: changes.set_capabilities(directory, deed.actor, account_id, capabilities)
        )

    async def set_terms(self, session: Session, entry_id: int, terms: TradingAccountTerms) -> None:
        """Write the fields of a trading account."""
        deed = self._deed(session, "trading_account.set_terms", entry_id, terms)
        await self._change(deed, lambda directory, _: changes.set_terms(directory, deed.actor, entry_id, terms))

    async def disable(self, session: Session, entry_id: int, disabled: bool) -> None:
        """Disable or enable an account or trading account."""
        deed = self._deed(session, "entry.disable" if disabled else "entry.enable", entry_id)
        entry = self._live.directory.get(entry_id)
        is_account = entry is not None and entry.kind is Kind.ACCOUNT
        await self._change(
            deed,
            lambda directory, _: changes.set_disabled(directory, deed.actor, entry_id, disabled),
            ended=entry_id if disabled and is_account else None,
            end_reason=DISABLED,
        )

    # Groups and people

    async def make_group(
        self, session: Session, name: str, on_behalf_of: int | None, origin: Origin | None
    ) -> tuple[int, ...]:
        """Make a trading group; return the ids of it and of its directories."""
        deed = Deed(
            session=session,
            action="group.make",
            entity=f"directory:{name}",
            on_behalf_of=on_behalf_of,
            origin=origin,
        )
        change = await self._change(
            deed, lambda directory, entry_id: people.make_group(directory, deed.actor, entry_id, name)
        )
        return tuple(entry.entry_id for entry in change.put)

    async def make_person(
        self, session: Session, person: NewPerson, password: str, on_behalf_of: int | None, origin: Origin | None
    ) -> tuple[int, int | None]:
        """Make a person; return the ids of his account and of his trading account, if he has one."""
        deed = Deed(
            session=session,
            action="person.make",
            entity=f"account:{person.name}",
            asked=person,
            on_behalf_of=on_behalf_of,
            origin=origin,
        )

        def plan(directory: Directory, entry_id: int) -> Change:
            return people.make_person(directory, deed.actor, entry_id, person)

        change = await self._make(deed, plan, person.name, password)
        account_id = change.put[0].entry_id
        return account_id, None if person.terms is None else account_id + 1

    async def move_account(
        self, session: Session, move: Move, reason: str, on_behalf_of: int | None, origin: Origin | None
    ) -> None:
        """Move an account between directories, and change its rights."""
        deed = Deed(
            session=session,
            action="account.move",
            entity=f"account:{move.account_id}",
            asked=move,
            reason=reason,
            on_behalf_of=on_behalf_of,
            origin=origin,
        )
        await self._change(deed, lambda directory, _: people.move_account(directory, deed.actor, move))

    # Passwords

    async def change_password(
        self, session: Session, account_id: int, old_password: str | None, new_password: str
    ) -> None:
        """Set a password and end the account's other login sessions."""
        deed = Deed(session=session, action="password.change", entity=f"account:{account_id}")
        identity = session.identity
        async with self._attempt(deed):
            account = self._live.directory.entry(account_id)
            former_hash = None
            if self._logins.needs_old_password(identity.account_id, account_id):
                if old_password is None:
                    raise Invalid("Your old password is needed too.", argument="old_password")
                peer = session.peer.rpartition(":")[0]
                former_hash = account_id, await self._logins.check_own_password(account_id, old_password, peer)
            new_hash = await self._logins.new_hash(account.name, new_password)
            await self._commits.commit(
                lambda *_: self._password_change(identity.account_id, account_id),
                partial(self._events, deed),
                password=(account_id, new_hash),
                former_hash=former_hash,
                ended=account_id,
                reason=PASSWORD_CHANGED,
                kept=identity.login_session if identity.account_id == account_id else None,
            )

    def _password_change(self, actor: int, account_id: int) -> Change:
        self._logins.needs_old_password(actor, account_id)
        return Change()

    # Small things

    def _deed(self, session: Session, action: str, entry_id: int, asked: object = None) -> Deed:
        entry = self._live.directory.get(entry_id)
        entity = f"entry:{entry_id}" if entry is None else entity_of(entry)
        return Deed(session=session, action=action, entity=entity, asked=asked)

    def _attempt(self, deed: Deed) -> AbstractAsyncContextManager[None]:
        return self._trail.attempt(
            deed.session,
            deed.action,
            deed.entity,
            self._store.record,
            asked=deed.asked,
            reason=deed.reason,
            on_behalf_of=deed.on_behalf_of,
            origin=self._origin(deed),
        )

    async def _change(self, deed: Deed, plan: Plan, *, ended: int | None = None, end_reason: str = "") -> Change:
        async with self._attempt(deed):
            self._check_behalf(deed)
            return await self._commits.commit(plan, partial(self._events, deed), ended=ended, reason=end_reason)

    async def _make(self, deed: Deed, plan: Plan, name: str, password: str) -> Change:
        """Make an account with a password: what the rules forbid is refused before a hash is made."""
        async with self._attempt(deed):
            self._check_behalf(deed)
            plan(self._live.directory, self._live.next_entry_id)
            new_hash = await self._logins.new_hash(name, password)
            return await self._commits.commit(plan, partial(self._events, deed), password=(None, new_hash))

    def _check_behalf(self, deed: Deed) -> None:
        if deed.on_behalf_of is not None and not self._may_act_for_others(deed):
            raise Forbidden("Only services act on somebody's behalf.", role=SERVICE)
        if deed.origin is not None and deed.on_behalf_of is None:
            raise Invalid("An origin is somebody's on whose behalf a service acts; name him.", argument="origin")

    def _may_act_for_others(self, deed: Deed) -> bool:
        return SERVICE in self._live.directory.roles(deed.actor)

    def _origin(self, deed: Deed) -> Origin | None:
        """Return the origin that a service tells of the one for whom it acts; nobody else is believed about one."""
        return deed.origin if deed.on_behalf_of is not None and self._may_act_for_others(deed) else None

    def _events(self, deed: Deed, change: Change, version: int) -> tuple[AuditEvent, ...]:
        """Return one event for each entry that a change touches, or for the account whose password changes."""
        directory = self._live.directory
        pairs: list[tuple[str, Entry | None, Entry | None]] = [
            (entity_of(entry), directory.get(entry.entry_id), entry) for entry in change.put
        ]
        pairs += [(entity_of(entry), entry, None) for entry in map(directory.entry, change.removed)]
        return tuple(
            self._trail.event(
                deed.session,
                deed.action,
                entity,
                version=version,
                before=before,
                after=after,
                reason=deed.reason,
                on_behalf_of=deed.on_behalf_of,
                origin=self._origin(deed),
            )
            for entity, before, after in pairs or [(deed.entity, None, None)]
        )
