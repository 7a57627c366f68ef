"""A small directory that the locator's tests share."""

from spire.locator.directory import Directory
from spire.locator.values import (
    ALL_RIGHTS,
    AccountKind,
    Entry,
    Grant,
    Kind,
    Right,
    TradingAccountTerms,
    TradingAccountType,
)
from spire.values.orders import Capacity

ROOT, ADMINISTRATORS, SERVICES, GROUPS, DEMO, MANAGERS, TRADERS, ACCOUNTS = range(1, 9)
ADA, UID, TESS, BOOK, MAX = range(20, 25)
NEW = 100

TERMS = TradingAccountTerms(
    type=TradingAccountType.PROPRIETARY,
    firm_designated_id="tess",
    base_currency="USD",
    default_capacity=Capacity.PRINCIPAL,
)


def place(entry_id: int, name: str, *parents: int) -> Entry:
    """Return a directory."""
    return Entry(entry_id=entry_id, kind=Kind.DIRECTORY, name=name, parents=parents)


def account(entry_id: int, name: str, *parents: int, kind: AccountKind = AccountKind.PERSON) -> Entry:
    """Return an account."""
    return Entry(entry_id=entry_id, kind=Kind.ACCOUNT, name=name, parents=parents, account_kind=kind)


def held(account_id: int, rights: Right) -> Grant:
    """Return a grant."""
    return Grant(account_id=account_id, rights=int(rights))


def demo() -> Directory:
    """Return a directory with an administrator, a service, a manager, and a trader with his trading account."""
    return Directory(
        [
            Entry(entry_id=ROOT, kind=Kind.DIRECTORY, name="*", grants=(held(ADA, ALL_RIGHTS), held(UID, Right.READ))),
            place(ADMINISTRATORS, "administrators", ROOT),
            place(SERVICES, "services", ROOT),
            place(GROUPS, "trading_groups", ROOT),
            Entry(
                entry_id=DEMO,
                kind=Kind.DIRECTORY,
                name="demo",
                parents=(GROUPS,),
                grants=(held(MAX, Right.READ | Right.MOVE | Right.MANAGE),),
            ),
            place(MANAGERS, "managers", DEMO),
            place(TRADERS, "traders", DEMO),
            place(ACCOUNTS, "accounts", DEMO),
            account(ADA, "ada", ADMINISTRATORS),
            account(UID, "uid_service", SERVICES, kind=AccountKind.SERVICE),
            account(TESS, "tess", TRADERS),
            account(MAX, "max", MANAGERS),
            Entry(
                entry_id=BOOK,
                kind=Kind.TRADING_ACCOUNT,
                name="tess",
                parents=(ACCOUNTS,),
                grants=(held(TESS, Right.VIEW | Right.TRADE),),
                terms=TERMS,
            ),
        ]
    )
