"""What the Service Locator knows: entries of the directory, login sessions, signing keys (frozen values)."""

from collections.abc import Mapping
from enum import IntEnum, IntFlag

from attrs import field, frozen

from spire.values.audit import AuditEvent
from spire.values.orders import Capacity
from spire.values.time import Timestamp

ROOT_ID = 1
"""The directory above every other; it is called `*` and its path is `/`."""

DIRECTORY = "directory"
REVOCATIONS = "revocations"
SIGNING_KEYS = "signing_keys"
PROVIDERS = "providers/"
"""The Locator's state topics; the last is followed by a service's name."""

NAME_LIMIT = 100
"""Characters in the name of an entry."""


class Kind(IntEnum):
    """What a directory entry is."""

    DIRECTORY = 1
    ACCOUNT = 2
    TRADING_ACCOUNT = 3


class AccountKind(IntEnum):
    """Who logs in with an account."""

    PERSON = 1
    SERVICE = 2


class TradingAccountType(IntEnum):
    """Whose business a trading account books."""

    CUSTOMER = 1
    PROPRIETARY = 2
    MARKET_MAKING = 3
    ERROR = 4
    AVERAGE_PRICE = 5


class Right(IntFlag):
    """What an account may do with an entry; VIEW, TRADE and MANAGE speak of trading accounts."""

    NONE = 0
    READ = 1
    MOVE = 2
    ADMINISTRATE = 4
    VIEW = 8
    TRADE = 16
    MANAGE = 32


ALL_RIGHTS = Right.READ | Right.MOVE | Right.ADMINISTRATE | Right.VIEW | Right.TRADE | Right.MANAGE

ADMINISTRATOR_RIGHTS = Right.READ | Right.MOVE | Right.ADMINISTRATE | Right.VIEW | Right.MANAGE
"""What an administrator holds on the root; he does not trade."""


@frozen(kw_only=True)
class Grant:
    """The rights that an account holds on the entry that carries this grant, as the number of a `Right`."""

    account_id: int
    rights: int


@frozen(kw_only=True)
class EntryRights:
    """The rights that an account is to hold on an entry, as the number of a `Right`; 0 takes them away.

    Of those that it holds there when the change is made it keeps the ones in `kept`, also the number of a `Right`.
    """

    entry_id: int
    rights: int
    kept: int = 0


@frozen(kw_only=True)
class TradingAccountTerms:
    """The fields of a trading account (docs/service-locator.md); the LEI is the client identifier."""

    type: TradingAccountType
    firm_designated_id: str
    base_currency: str
    default_capacity: Capacity
    client_identifier: str | None = None
    aggregation_unit: str | None = None
    short_marking_exempt: bool = False


@frozen(kw_only=True)
class Entry:
    """One entry of the directory with all that hangs on it: the row of the topic `directory`.

    `parents` and `grants` are sorted by id; `capabilities` by name. `account_kind` and `capabilities` belong to accounts,
    `terms` to trading accounts.
    """

    entry_id: int
    kind: Kind
    name: str
    parents: tuple[int, ...] = ()
    grants: tuple[Grant, ...] = ()
    disabled: bool = False
    account_kind: AccountKind | None = None
    capabilities: tuple[str, ...] = ()
    terms: TradingAccountTerms | None = None


def entity_of(entry: Entry) -> str:
    """Return how audit logs name an entry."""
    return f"{entry.kind.name.lower()}:{entry.entry_id}"


@frozen(kw_only=True)
class Change:
    """What a command does to the directory: entries written (whole) and entry ids removed."""

    put: tuple[Entry, ...] = ()
    removed: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.put and not self.removed


@frozen(kw_only=True)
class StoredDirectory:
    """The directory as the store holds it; `version` grows with every change, entry ids are given out from `next_entry_id`."""

    version: int
    next_entry_id: int
    entries: tuple[Entry, ...]


@frozen(kw_only=True)
class DirectoryWrite:
    """One transaction of the store: a change of the directory, and what happens to accounts with it.

    `change_id` tells a commit whose answer was lost from another Locator's. `audit` goes into the audit log. The open sessions of `ended_accounts` (as
    holder or as delegate) end, but for `kept_session`. With `former_hash`, an account and the hash that its old password
    matched, nothing is written where the account has another by now.
    """

    change_id: str
    change: Change
    next_entry_id: int
    now: Timestamp
    passwords: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    former_hash: tuple[int, str] | None = field(default=None, repr=False)
    audit: tuple[AuditEvent, ...] = ()
    ended_accounts: tuple[int, ...] = ()
    end_reason: str = ""
    kept_session: str | None = None


@frozen(kw_only=True)
class LoginSession:
    """A login that can renew its ticket: by its id and a proof with the private half of `public_key`.

    `delegate_id` is the account that logged the holder in (the portal), if another did. `ended` is set once and for all,
    to the time at which the end was put on record: later than the logout, where the store was away.
    """

    login_session: str
    account_id: int
    public_key: bytes = field(repr=False)
    audiences: tuple[str, ...]
    opened: Timestamp
    last_used: Timestamp
    peer: str
    delegate_id: int | None = None
    ended: Timestamp | None = None
    end_reason: str | None = None


@frozen(kw_only=True)
class Revocation:
    """A login session that ended: the row of the topic `revocations`, under the session's id."""

    login_session: str
    account_id: int
    ended: Timestamp
    reason: str


@frozen(kw_only=True)
class SigningKey:
    """The public half of a key that signs tickets: the row of the topic `signing_keys`, under `key_id`.

    `retires` is the time after which no ticket signed by it can be in use.
    """

    key_id: str
    public_key: bytes
    created: Timestamp
    retires: Timestamp | None = None


@frozen(kw_only=True)
class StoredCredential:
    """What is compared when an account logs in."""

    account_id: int
    password_hash: str = field(repr=False)
    disabled: bool = False


@frozen(kw_only=True)
class LoginState:
    """What the store knows before a login is tried: the credential of the name, and the failures that count."""

    credential: StoredCredential | None
    failures: Mapping[str, "FailureCount"]


@frozen(kw_only=True)
class FailureCount:
    """Failed logins in a row of one subject: `account:<name>` or `peer:<address>`."""

    subject: str
    failures: int
    last_failed: Timestamp


@frozen(kw_only=True)
class AccountTimes:
    """When an account was made, when its password changed last, and when it logged in last."""

    registered: Timestamp
    password_changed: Timestamp
    last_login: Timestamp | None
