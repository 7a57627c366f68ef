"""From boxes to the Risk Server's methods and back."""

from typing import Any

from twisted.protocols.amp import CommandLocator, IResponderLocator
from zope.interface import implementer

from spire.locator.directory import Directory
from spire.risk.commands import ListPortfolios, LoadPortfolio, OpenDay, Release
from spire.risk.server import RiskService
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.service.audit import AuditResponders
from spire.wire.guard import Responders
from spire.wire.interfaces import IAvatars
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders


class RiskResponders(CommandLocator):
    """What whoever is logged in may call; each call asks for its rights."""

    def __init__(self, session: Session, service: RiskService) -> None:
        super().__init__()
        self._session = session
        self._service = service

    @OpenDay.responder
    async def open_day(self, business_date: str, after: int) -> dict[str, Any]:
        """Open a business date."""
        accounts, following = await self._service.open_day(self._session, business_date, after)
        return {"accounts": accounts} if following is None else {"accounts": accounts, "next_after": following}

    @Release.responder
    async def release(self, trading_account_id: int, reason: str, new_baseline: bool) -> dict[str, Any]:
        """Give an account back its allowed state."""
        portfolio = await self._service.release(self._session, trading_account_id, reason, new_baseline=new_baseline)
        return {"portfolio": portfolio}

    @LoadPortfolio.responder
    def load_portfolio(self, trading_account_id: int, after: int) -> dict[str, Any]:
        """Answer where an account stands."""
        portfolio, positions, following = self._service.load_portfolio(self._session, trading_account_id, after)
        answer = {"portfolio": portfolio, "positions": positions}
        return answer if following is None else answer | {"next_after": following}

    @ListPortfolios.responder
    def list_portfolios(self, after: int) -> dict[str, Any]:
        """Answer a page of portfolios."""
        portfolios, following = self._service.list_portfolios(self._session, after)
        return {"portfolios": portfolios} if following is None else {"portfolios": portfolios, "next_after": following}


@implementer(IAvatars)
class RiskAvatars:
    """Nothing before login; portfolios, days, releases and the audit log after it."""

    def __init__(self, service: RiskService, directory: Directory, *, clock: Clock, tasks: Tasks) -> None:
        self._service = service
        self._directory = directory
        self._clock = clock
        self._tasks = tasks

    def anonymous(self, session: Session) -> IResponderLocator:  # noqa: ARG002 - nobody may call anything before login
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return commands, streams and the audit log."""
        streams = StreamResponders(session, self._service, clock=self._clock, tasks=self._tasks)
        self._service.serve_streams(session, streams)
        return Responders(
            streams,
            RiskResponders(session, self._service),
            AuditResponders(session, self._service.audit_page, self._directory.roles),
        )

    def closed(self, session: Session) -> None:
        """Forget nothing: what a session holds is released with it."""
