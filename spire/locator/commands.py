"""The Service Locator's commands."""

from twisted.protocols import amp

from spire.locator.values import AccountKind, AccountTimes, Entry, EntryRights, TradingAccountTerms
from spire.values.audit import Origin
from spire.wire.arguments import Boolean, Bytes, Integer, Text, Typed
from spire.wire.commands import Command
from spire.wire.identity import Provider

NAME = Text(longest=400)
SERVICE_NAME = Text(longest=128)
IDENTIFIER = Integer(minimum=1)
PASSWORD = Text(longest=4096)
BEHALF: list[tuple[bytes, amp.Argument]] = [
    (b"on_behalf_of", Integer(minimum=1, optional=True)),
    (b"origin", Typed(Origin, optional=True)),
]
"""For whom a service acts, and from where that one acts himself."""

_TICKET: list[tuple[bytes, amp.Argument]] = [
    (b"login_session", Text(longest=64)),
    (b"ticket", Text()),
    (b"expires", Integer()),
    (b"account_id", IDENTIFIER),
    (b"account", NAME),
]


class Login(Command):
    """Log in with name and password, and get a ticket for the Ed25519 key whose public half is given (32 bytes).

    `audiences` are the services that the ticket is good for; `*` stands for all. The answer's `login_session` renews the
    ticket later. Raises NOT_AUTHENTICATED for an unknown name and a wrong password alike, OVERLOADED (with
    `retry_seconds`) after too many failures, UNAVAILABLE while MySQL is away.
    """

    arguments = [
        (b"account", NAME),
        (b"password", PASSWORD),
        (b"public_key", Bytes()),
        (b"audiences", Typed(tuple[str, ...])),
    ]
    response = _TICKET
    login = True


class LoginFor(Command):
    """Log somebody in on whose behalf the caller will act; needs the capability `login.for`.

    The ticket names the user as its holder and the caller as its actor. `peer` is the user's own address.
    """

    arguments = [
        (b"account", NAME),
        (b"password", PASSWORD),
        (b"public_key", Bytes()),
        (b"audiences", Typed(tuple[str, ...])),
        (b"peer", Text(longest=255)),
    ]
    response = _TICKET


class RenewTicket(Command):
    """Get another ticket of a login session, also when the last one has expired.

    `proof` signs the session id and the connection's nonce with the session's key (`keys.renewal_message`). Raises
    NOT_AUTHENTICATED when the session has ended or the proof does not hold.
    """

    arguments = [(b"login_session", Text(longest=64)), (b"proof", Bytes())]
    response = _TICKET
    login = True


class Logout(Command):
    """End the login session that the caller's ticket belongs to, everywhere and at once."""

    arguments = []
    response = []


class ChangePassword(Command):
    """Set an account's password; one's own needs the old one, another's ADMINISTRATE on the account.

    Every other login session of the account ends. Raises CONFLICT where the old one was changed in the meantime.
    """

    arguments = [
        (b"account_id", IDENTIFIER),
        (b"old_password", Text(longest=4096, optional=True)),
        (b"new_password", PASSWORD),
    ]
    response = []


class MakeAccount(Command):
    """Make an account in a directory; needs ADMINISTRATE on it."""

    arguments = [
        (b"name", NAME),
        (b"parent_id", IDENTIFIER),
        (b"kind", Typed(AccountKind)),
        (b"password", PASSWORD),
    ]
    response = [(b"entry_id", IDENTIFIER)]


class MakeTradingAccount(Command):
    """Make a trading account in a group's `accounts`, and give `trader_id`, if given, VIEW and TRADE on it."""

    arguments = [
        (b"name", NAME),
        (b"parent_id", IDENTIFIER),
        (b"terms", Typed(TradingAccountTerms)),
        (b"trader_id", Integer(minimum=1, optional=True)),
    ]
    response = [(b"entry_id", IDENTIFIER)]


class MakeDirectory(Command):
    """Make a directory beneath another; needs ADMINISTRATE on that one."""

    arguments = [(b"name", NAME), (b"parent_id", IDENTIFIER)]
    response = [(b"entry_id", IDENTIFIER)]


class Associate(Command):
    """Let an entry stand in one more directory; needs MOVE on the directory and ADMINISTRATE on the entry."""

    arguments = [(b"entry_id", IDENTIFIER), (b"parent_id", IDENTIFIER)]
    response = []


class Detach(Command):
    """Take an entry out of one of its directories; needs MOVE on the directory."""

    arguments = [(b"entry_id", IDENTIFIER), (b"parent_id", IDENTIFIER)]
    response = []


class Rename(Command):
    """Give an entry another name; needs ADMINISTRATE on it."""

    arguments = [(b"entry_id", IDENTIFIER), (b"name", NAME)]
    response = []


class Remove(Command):
    """Remove an empty directory; needs ADMINISTRATE on it."""

    arguments = [(b"entry_id", IDENTIFIER)]
    response = []


class Grant(Command):
    """Set the rights of an account on an entry, the number of a `Right`; needs ADMINISTRATE on both."""

    arguments = [(b"account_id", IDENTIFIER), (b"entry_id", IDENTIFIER), (b"rights", Integer(minimum=0, maximum=255))]
    response = []


class SetCapabilities(Command):
    """Set the capabilities of an account, in place of those it had; administrators only."""

    arguments = [(b"account_id", IDENTIFIER), (b"capabilities", Typed(tuple[str, ...]))]
    response = []


class SetTerms(Command):
    """Write the fields of a trading account; needs ADMINISTRATE on it."""

    arguments = [(b"entry_id", IDENTIFIER), (b"terms", Typed(TradingAccountTerms))]
    response = []


class Disable(Command):
    """Disable or enable an account or trading account; needs ADMINISTRATE on it.

    A disabled account's login sessions end everywhere at once.
    """

    arguments = [(b"entry_id", IDENTIFIER), (b"disabled", Boolean())]
    response = []


class MakeGroup(Command):
    """Make a trading group with `managers`, `traders` and `accounts`, whole or not at all; needs ADMINISTRATE on `trading_groups`.

    `on_behalf_of`, here and below, is the account for which a service acts, for the audit log; from others it is FORBIDDEN.
    `origin` is from where that account acts; alone it is INVALID. Without it the log names the service's own session.
    """

    arguments = [(b"name", NAME), *BEHALF]
    response = [
        (b"group_id", IDENTIFIER),
        (b"managers_id", IDENTIFIER),
        (b"traders_id", IDENTIFIER),
        (b"accounts_id", IDENTIFIER),
    ]


class MakePerson(Command):
    """Make a person's account in directories, with rights on entries, whole or not at all.

    With `accounts_id` (a group's `accounts`) and `terms` he gets a trading account of his name there, which he may VIEW and
    TRADE. Needs ADMINISTRATE on everything named, and MOVE on the directories.
    """

    arguments = [
        (b"name", NAME),
        (b"password", PASSWORD),
        (b"parents", Typed(tuple[int, ...])),
        (b"grants", Typed(tuple[EntryRights, ...])),
        (b"accounts_id", Integer(minimum=1, optional=True)),
        (b"terms", Typed(TradingAccountTerms, optional=True)),
        *BEHALF,
    ]
    response = [(b"account_id", IDENTIFIER), (b"trading_account_id", Integer(minimum=1, optional=True))]


class MoveAccount(Command):
    """Let an account enter the directories `add`, leave those of `remove`, and hold `grants`: all of it or nothing.

    Needs what Associate, Detach and Grant need. Raises CONFLICT for the last administrator, a last directory, and one to leave
    in which the account does not stand.
    """

    arguments = [
        (b"account_id", IDENTIFIER),
        (b"add", Typed(tuple[int, ...])),
        (b"remove", Typed(tuple[int, ...])),
        (b"grants", Typed(tuple[EntryRights, ...])),
        (b"reason", Text(longest=1000)),
        *BEHALF,
    ]
    response = []


class Register(Command):
    """Offer a service at addresses (`host:port`), for as long as this connection lasts; again to tell a new load.

    Needs the capability `service.register:<service>`.
    """

    arguments = [
        (b"service", SERVICE_NAME),
        (b"instance_id", Text(longest=128)),
        (b"addresses", Typed(tuple[str, ...])),
        (b"properties", Typed(dict[str, str])),
        (b"load", Integer(minimum=0)),
    ]
    response = []


class Withdraw(Command):
    """Take a registration of this connection back."""

    arguments = [(b"service", SERVICE_NAME), (b"instance_id", Text(longest=128))]
    response = []


class Locate(Command):
    """Return the providers of a service, the least loaded first, equals in random order; none is no error."""

    arguments = [(b"service", SERVICE_NAME)]
    response = [(b"providers", Typed(tuple[Provider, ...]))]


class FindEntry(Command):
    """Return the entry at a path; one that the caller may not READ is NOT_FOUND as well.

    VIEW, TRADE or MANAGE on a trading account lets it be found too.
    """

    arguments = [(b"path", Text(longest=4096))]
    response = [(b"entry", Typed(Entry))]


class LoadEntry(Command):
    """Return an entry by id, under the rule of `FindEntry`, with its paths and, for an account, its times."""

    arguments = [(b"entry_id", IDENTIFIER)]
    response = [
        (b"entry", Typed(Entry)),
        (b"paths", Typed(tuple[str, ...])),
        (b"times", Typed(AccountTimes, optional=True)),
    ]


class ListEntries(Command):
    """Return a page of what stands directly beneath an entry and the caller may READ, by name.

    `after` is the name of the last entry of the page before; `more` says whether another follows.
    """

    arguments = [(b"parent_id", IDENTIFIER), (b"after", Text(longest=400, optional=True))]
    response = [(b"entries", Typed(tuple[Entry, ...])), (b"more", Boolean())]


class ListTradingAccounts(Command):
    """Return a page of the trading accounts on which the caller holds VIEW, TRADE or MANAGE, by id."""

    arguments = [(b"after", Integer(minimum=0, optional=True))]
    response = [(b"entries", Typed(tuple[Entry, ...])), (b"more", Boolean())]


class RotateSigningKey(Command):
    """Make a new signing key; the old one is believed until the last ticket that it signed is over."""

    arguments = []
    response = [(b"key_id", Text(longest=64))]
