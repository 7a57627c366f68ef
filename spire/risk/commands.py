"""The commands of the Risk Server. Each change is audited, also where it is refused."""

from typing import Final

from spire.risk.values import MarkedPosition, OpenedAccount, Portfolio
from spire.wire.arguments import Boolean, Integer, Text, Typed
from spire.wire.commands import Command

_ID: Final = Integer(minimum=1)


class OpenDay(Command):
    """Open a business date (ISO) for all trading accounts; whoever may open it at Administration, where it must be current.

    An account last opened on an earlier date gets its start-of-day record and its allowed state, one that is open is not touched,
    and one that a person must release is told as KEPT. Answers a page of accounts by id after `after`; the first page does it all.
    Raises FORBIDDEN, INVALID, CONFLICT where the date is not the firm's current business date, UNAVAILABLE.
    """

    arguments = [(b"business_date", Text(longest=10)), (b"after", Integer(minimum=0))]
    response = [
        (b"accounts", Typed(tuple[OpenedAccount, ...])),
        (b"next_after", Integer(minimum=0, optional=True)),
    ]


class Release(Command):
    """Give a trading account back its allowed state on the same day; risk officers only.

    With `new_baseline` what it has lost so far counts no more. Without, its limits must have been raised before: raises CONFLICT
    (STILL_BREACHED in the details) where it would be stopped again at once. Raises FORBIDDEN, NOT_FOUND, CONFLICT for an account
    that is ACTIVE, UNAVAILABLE.
    """

    arguments = [(b"trading_account_id", _ID), (b"reason", Text(longest=1000)), (b"new_baseline", Boolean())]
    response = [(b"portfolio", Typed(Portfolio))]


class LoadPortfolio(Command):
    """Return where a trading account stands, and a page of its positions by instrument id after `after`."""

    arguments = [(b"trading_account_id", _ID), (b"after", Integer(minimum=0))]
    response = [
        (b"portfolio", Typed(Portfolio)),
        (b"positions", Typed(tuple[MarkedPosition, ...])),
        (b"next_after", Integer(minimum=0, optional=True)),
    ]


class ListPortfolios(Command):
    """Return a page of the portfolios that the caller may see, by trading account id after `after`."""

    arguments = [(b"after", Integer(minimum=0))]
    response = [
        (b"portfolios", Typed(tuple[Portfolio, ...])),
        (b"next_after", Integer(minimum=0, optional=True)),
    ]
