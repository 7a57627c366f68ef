"""Who is at the other end: the identity of a logged-in account, and a provider of a service."""

from attrs import field, frozen

from spire.values.time import Timestamp


@frozen(kw_only=True)
class Identity:
    """The account that a session acts for, as its ticket says.

    `delegate` acts on the account's behalf (the portal for a trader) and is None for a direct login. `login_session`
    names the login at the Locator, so that it can be revoked; the ticket ends at `expires`.
    """

    account_id: int
    account: str
    delegate_id: int | None = None
    delegate: str | None = None
    roles: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    login_session: str = ""
    expires: Timestamp

    def holds(self, capability: str) -> bool:
        """Return whether the account holds the named capability."""
        return capability in self.capabilities


@frozen(kw_only=True)
class Provider:
    """A running server of a service, as registered with the Locator by `account`.

    `addresses` are `host:port`, best first; a lower `load` is preferred.
    """

    service: str
    instance_id: str
    addresses: tuple[str, ...]
    account: str
    environment: str
    load: int = 0
    properties: dict[str, str] = field(factory=dict)
