"""Risk for every other process: positions and profit live, opening a day, releasing an account."""

from typing import Any, Final

from spire.risk.commands import ListPortfolios, LoadPortfolio, OpenDay, Release
from spire.risk.values import PORTFOLIOS, MarkedPosition, OpenedAccount, Portfolio
from spire.wire.client_session import ClientSession
from spire.wire.state_view import StateView

CALL_SECONDS: Final = 30.0


class RiskClient:
    """Typed access to the Risk Server; `session` is started and stopped by its owner."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    def portfolios(self) -> StateView[Portfolio]:
        """Return all portfolios by trading account id, live: for servers, administrators, risk officers and auditors."""
        return self.session.subscriptions.state(PORTFOLIOS, Portfolio)

    def portfolio(self, trading_account_id: int) -> StateView[Portfolio]:
        """Return where one trading account stands, live."""
        return self.session.subscriptions.state(f"portfolio/{trading_account_id}", Portfolio)

    def positions(self, trading_account_id: int) -> StateView[MarkedPosition]:
        """Return the positions of one trading account by instrument id, live."""
        return self.session.subscriptions.state(f"positions/{trading_account_id}", MarkedPosition)

    async def load(self, trading_account_id: int) -> tuple[Portfolio, tuple[MarkedPosition, ...]]:
        """Return where a trading account stands, with its positions. Raises NotFound, Forbidden, Unavailable."""
        found: list[MarkedPosition] = []
        after: int | None = 0
        portfolio: Portfolio | None = None
        while after is not None:
            answer = await self._call(LoadPortfolio, trading_account_id=trading_account_id, after=after)
            portfolio = answer["portfolio"]
            found += answer["positions"]
            after = answer.get("next_after")
        assert portfolio is not None
        return portfolio, tuple(found)

    async def visible(self) -> tuple[Portfolio, ...]:
        """Return the portfolios that the caller may see, by trading account id."""
        return tuple(await self._pages(ListPortfolios, "portfolios"))

    async def open_day(self, business_date: str) -> tuple[OpenedAccount, ...]:
        """Open the firm's current business date for all trading accounts; safe to repeat."""
        return tuple(await self._pages(OpenDay, "accounts", business_date=business_date))

    async def release(self, trading_account_id: int, reason: str, *, new_baseline: bool) -> Portfolio:
        """Give a trading account back its allowed state. Raises Forbidden, NotFound, Conflict, Unavailable."""
        answer = await self._call(
            Release, trading_account_id=trading_account_id, reason=reason, new_baseline=new_baseline
        )
        portfolio: Portfolio = answer["portfolio"]
        return portfolio

    async def _call(self, command: Any, **arguments: Any) -> dict[str, Any]:
        return await self.session.call(command, timeout_seconds=CALL_SECONDS, **arguments)

    async def _pages(self, command: Any, what: str, **arguments: Any) -> list[Any]:
        found: list[Any] = []
        after: int | None = 0
        while after is not None:
            answer = await self._call(command, after=after, **arguments)
            found += answer[what]
            after = answer.get("next_after")
        return found
