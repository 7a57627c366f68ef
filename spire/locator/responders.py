"""What a session may call at the Service Locator: box to call and back, one table per role."""

from typing import Any

from attrs import asdict
from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.locator import commands
from spire.locator.directory import ADMINISTRATOR, SERVICE
from spire.locator.people import Move, NewPerson
from spire.locator.server import LocatorService
from spire.locator.values import AccountKind, EntryRights, TradingAccountTerms
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditResponders
from spire.values.audit import Origin
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders

Answer = dict[str, Any]


class AnonymousResponders(CommandLocator):
    """Before login: a password or a login session becomes a ticket."""

    def __init__(self, session: Session, service: LocatorService) -> None:
        super().__init__()
        self.session = session
        self.service = service

    @commands.Login.responder
    async def login(self, account: str, password: str, public_key: bytes, audiences: tuple[str, ...]) -> Answer:
        """Log in."""
        return asdict(await self.service.login(self.session, account, password, public_key, audiences))

    @commands.RenewTicket.responder
    async def renew(self, login_session: str, proof: bytes) -> Answer:
        """Renew a ticket."""
        return asdict(await self.service.renew(self.session, login_session, proof))


class AccountResponders(AnonymousResponders):
    """Everybody who is logged in."""

    @commands.LoginFor.responder
    async def login_for(
        self, account: str, password: str, public_key: bytes, audiences: tuple[str, ...], peer: str
    ) -> Answer:
        """Log somebody else in."""
        return asdict(await self.service.login_for(self.session, account, password, public_key, audiences, peer))

    @commands.Logout.responder
    def logout(self) -> Answer:
        """Log out."""
        self.service.logins.logout(self.session)
        return {}

    @commands.ChangePassword.responder
    async def change_password(self, account_id: int, old_password: str | None, new_password: str) -> Answer:
        """Change a password."""
        await self.service.editor.change_password(self.session, account_id, old_password, new_password)
        return {}

    @commands.Locate.responder
    def locate(self, service: str) -> Answer:
        """Find a service."""
        return {"providers": self.service.locate(service)}

    @commands.FindEntry.responder
    def find_entry(self, path: str) -> Answer:
        """Find an entry."""
        return {"entry": self.service.queries.find_entry(self.session, path)}

    @commands.LoadEntry.responder
    async def load_entry(self, entry_id: int) -> Answer:
        """Load an entry."""
        entry, paths, times = await self.service.queries.load_entry(self.session, entry_id)
        return {"entry": entry, "paths": paths, "times": times}

    @commands.ListEntries.responder
    def list_entries(self, parent_id: int, after: str | None) -> Answer:
        """List a directory."""
        entries, more = self.service.queries.list_entries(self.session, parent_id, after)
        return {"entries": entries, "more": more}

    @commands.ListTradingAccounts.responder
    def list_trading_accounts(self, after: int | None) -> Answer:
        """List trading accounts."""
        entries, more = self.service.queries.list_trading_accounts(self.session, after)
        return {"entries": entries, "more": more}


class DirectoryResponders(CommandLocator):
    """Who may change the directory: everybody who is logged in, as far as his rights go."""

    def __init__(self, session: Session, service: LocatorService) -> None:
        super().__init__()
        self.session = session
        self.service = service

    @commands.MakeAccount.responder
    async def make_account(self, name: str, parent_id: int, kind: AccountKind, password: str) -> Answer:
        """Make an account."""
        return {"entry_id": await self.service.editor.make_account(self.session, name, parent_id, kind, password)}

    @commands.MakeTradingAccount.responder
    async def make_trading_account(
        self, name: str, parent_id: int, terms: TradingAccountTerms, trader_id: int | None
    ) -> Answer:
        """Make a trading account."""
        return {
            "entry_id": await self.service.editor.make_trading_account(self.session, name, parent_id, terms, trader_id)
        }

    @commands.MakeDirectory.responder
    async def make_directory(self, name: str, parent_id: int) -> Answer:
        """Make a directory."""
        return {"entry_id": await self.service.editor.make_directory(self.session, name, parent_id)}

    @commands.Associate.responder
    async def associate(self, entry_id: int, parent_id: int) -> Answer:
        """Associate an entry."""
        await self.service.editor.associate(self.session, entry_id, parent_id)
        return {}

    @commands.Detach.responder
    async def detach(self, entry_id: int, parent_id: int) -> Answer:
        """Detach an entry."""
        await self.service.editor.detach(self.session, entry_id, parent_id)
        return {}

    @commands.Rename.responder
    async def rename(self, entry_id: int, name: str) -> Answer:
        """Rename an entry."""
        await self.service.editor.rename(self.session, entry_id, name)
        return {}

    @commands.Remove.responder
    async def remove(self, entry_id: int) -> Answer:
        """Remove an entry."""
        await self.service.editor.remove(self.session, entry_id)
        return {}

    @commands.Grant.responder
    async def grant(self, account_id: int, entry_id: int, rights: int) -> Answer:
        """Grant rights."""
        await self.service.editor.grant(self.session, account_id, entry_id, rights)
        return {}

    @commands.SetTerms.responder
    async def set_terms(self, entry_id: int, terms: TradingAccountTerms) -> Answer:
        """Write a trading account's fields."""
        await self.service.editor.set_terms(self.session, entry_id, terms)
        return {}

    @commands.Disable.responder
    async def disable(self, entry_id: int, disabled: bool) -> Answer:
        """Disable or enable an account."""
        await self.service.editor.disable(self.session, entry_id, disabled)
        return {}

    @commands.SetCapabilities.responder
    async def set_capabilities(self, account_id: int, capabilities: tuple[str, ...]) -> Answer:
        """Set capabilities."""
        await self.service.editor.set_capabilities(self.session, account_id, capabilities)
        return {}

    @commands.MakeGroup.responder
    async def make_group(self, name: str, on_behalf_of: int | None, origin: Origin | None) -> Answer:
        """Make a trading group."""
        ids = await self.service.editor.make_group(self.session, name, on_behalf_of, origin)
        return dict(zip(("group_id", "managers_id", "traders_id", "accounts_id"), ids, strict=True))

    @commands.MakePerson.responder
    async def make_person(
        self,
        name: str,
        password: str,
        parents: tuple[int, ...],
        grants: tuple[EntryRights, ...],
        accounts_id: int | None,
        terms: TradingAccountTerms | None,
        on_behalf_of: int | None,
        origin: Origin | None,
    ) -> Answer:
        """Make a person."""
        person = NewPerson(name=name, parents=parents, grants=grants, accounts_id=accounts_id, terms=terms)
        account_id, book_id = await self.service.editor.make_person(
            self.session, person, password, on_behalf_of, origin
        )
        return {"account_id": account_id, "trading_account_id": book_id}

    @commands.MoveAccount.responder
    async def move_account(
        self,
        account_id: int,
        add: tuple[int, ...],
        remove: tuple[int, ...],
        grants: tuple[EntryRights, ...],
        reason: str,
        on_behalf_of: int | None,
        origin: Origin | None,
    ) -> Answer:
        """Move an account."""
        move = Move(account_id=account_id, add=add, remove=remove, grants=grants)
        await self.service.editor.move_account(self.session, move, reason, on_behalf_of, origin)
        return {}


class AdministratorResponders(CommandLocator):
    """Administrators only."""

    def __init__(self, session: Session, service: LocatorService) -> None:
        super().__init__()
        self.session = session
        self.service = service

    @commands.RotateSigningKey.responder
    async def rotate_signing_key(self) -> Answer:
        """Change the signing key."""
        return {"key_id": await self.service.rotate_signing_key(self.session)}


class ServiceResponders(CommandLocator):
    """Services only."""

    def __init__(self, session: Session, service: LocatorService) -> None:
        super().__init__()
        self.session = session
        self.service = service

    @commands.Register.responder
    def register(
        self, service: str, instance_id: str, addresses: tuple[str, ...], properties: dict[str, str], load: int
    ) -> Answer:
        """Offer a service."""
        self.service.register(self.session, service, instance_id, addresses, properties, load)
        return {}

    @commands.Withdraw.responder
    def withdraw(self, service: str, instance_id: str) -> Answer:
        """Withdraw a service."""
        self.service.withdraw(self.session, service, instance_id)
        return {}


@implementer(IAvatars)
class LocatorAvatars:
    """The tables of the Service Locator's sessions."""

    def __init__(self, service: LocatorService, *, clock: Clock, tasks: Tasks) -> None:
        self._service = service
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:
        """Return what may be called before login."""
        return AnonymousResponders(session, self._service)

    def avatar(self, session: Session) -> IResponderLocator:
        """Return what an account may call, by its roles."""
        service = self._service
        roles = session.identity.roles
        tables: list[IResponderLocator] = [
            AccountResponders(session, service),
            DirectoryResponders(session, service),
            AuditResponders(session, service.read_audit, service.live.directory.roles),
            StreamResponders(session, service.live, clock=self._clock, tasks=self._tasks),
        ]
        if ADMINISTRATOR in roles:
            tables.append(AdministratorResponders(session, service))
        if SERVICE in roles:
            tables.append(ServiceResponders(session, service))
        return Responders(*tables)

    def closed(self, session: Session) -> None:
        """Take away what the session had registered."""
        self._service.live.session_closed(session)
