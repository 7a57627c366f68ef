"""A row that one holder at a time may have, with a token that grows at every change of hands.

Whoever needs to be alone takes the lease, keeps it alive, and shows the token with what he writes. Times are the
server's, so that holders on several machines agree.
"""

from attrs import frozen

from spire.database.errors import StoreError
from spire.database.transaction import Transaction

MAKE_ROW = "INSERT IGNORE INTO {table} (name, holder, token, expires) VALUES (%s, '', 0, UTC_TIMESTAMP(6))"
TAKE = """
UPDATE {table}
SET token = token + 1, holder = %s, expires = UTC_TIMESTAMP(6) + INTERVAL %s SECOND
WHERE name = %s AND (holder IN ('', %s) OR expires < UTC_TIMESTAMP(6))
"""
RENEW = (
    "UPDATE {table} SET expires = UTC_TIMESTAMP(6) + INTERVAL %s SECOND WHERE name = %s AND holder = %s AND token = %s"
)
RELEASE = "UPDATE {table} SET holder = '', expires = UTC_TIMESTAMP(6) WHERE name = %s AND holder = %s AND token = %s"
LOAD = "SELECT holder, token FROM {table} WHERE name = %s"


class LeaseHeld(StoreError):  # noqa: N818 - named for what happened
    """Somebody else has the lease; `holder` says who."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f"{holder} holds the lease {name}: wait until it is done, or has been silent for the lease's time"
        )
        self.holder = holder


@frozen(kw_only=True)
class Lease:
    """A lease that was taken: the row `name` of the room's table, and the token of this holder."""

    table: str
    name: str
    holder: str
    token: int


def take(transaction: Transaction, room: str, name: str, holder: str, seconds: float) -> Lease:
    """Take the lease for `seconds`, also again by the same holder; LeaseHeld if another has it."""
    table = f"{room}_lease"
    transaction.execute(MAKE_ROW.format(table=table), (name,))
    changed = transaction.execute(TAKE.format(table=table), (holder, seconds, name, holder))
    row = transaction.fetch_one(LOAD.format(table=table), (name,))
    assert row is not None
    if not changed:
        raise LeaseHeld(name, row[0])
    return Lease(table=table, name=name, holder=holder, token=row[1])


def renew(transaction: Transaction, lease: Lease, seconds: float) -> None:
    """Keep the lease for another `seconds`; LeaseHeld if it was lost meanwhile."""
    transaction.execute(RENEW.format(table=lease.table), (seconds, lease.name, lease.holder, lease.token))
    row = transaction.fetch_one(LOAD.format(table=lease.table), (lease.name,))
    if row is None or row != (lease.holder, lease.token):
        raise LeaseHeld(lease.name, "nobody" if row is None else row[0] or "nobody")


def release(transaction: Transaction, lease: Lease) -> None:
    """Give the lease back; nothing happens if it was lost."""
    transaction.execute(RELEASE.format(table=lease.table), (lease.name, lease.holder, lease.token))
