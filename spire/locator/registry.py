"""Which server offers which service, as long as its session lasts (sans-I/O)."""

import random
from collections.abc import Collection

from spire.wire.errors import Conflict, Forbidden, NotFound
from spire.wire.identity import Provider

REGISTER = "service.register:"
"""A service name may be registered by an account that holds the capability of this prefix and the name."""

_OTHER_ACCOUNTS = {"market_data_feed_service": "market_data_service", "web_portal": "web_portal_service"}


def may_register(service: str, capabilities: Collection[str]) -> bool:
    """Whether these capabilities hold the right to a service name."""
    return f"{REGISTER}{service}" in capabilities


def expected_account(service: str) -> str:
    """Return the account under which a service runs; a client believes no provider of another account."""
    return _OTHER_ACCOUNTS.get(service, service)


def in_order_of_load(providers: Collection[Provider], source: random.Random) -> list[Provider]:
    """Return providers with the least loaded first, equals in random order so that clients spread."""
    shuffled = list(providers)
    source.shuffle(shuffled)
    return sorted(shuffled, key=lambda provider: provider.load)


class Registry:
    """The registered providers, by service and instance; each belongs to the session that registered it."""

    def __init__(self) -> None:
        self._providers: dict[str, dict[str, Provider]] = {}
        self._owners: dict[tuple[str, str], str] = {}

    @property
    def services(self) -> list[str]:
        """The names of the services that anybody offers, sorted."""
        return sorted(self._providers)

    def providers(self, service: str) -> list[Provider]:
        """Return the providers of a service, by instance id."""
        return [provider for _, provider in sorted(self._providers.get(service, {}).items())]

    def register(self, session_id: str, provider: Provider, capabilities: Collection[str]) -> None:
        """Add a provider, or write it anew; raises what `check` does.

        The same account takes its instance over: its former session is dead and not yet noticed.
        """
        self.check(provider, capabilities)
        self._providers.setdefault(provider.service, {})[provider.instance_id] = provider
        self._owners[provider.service, provider.instance_id] = session_id

    def check(self, provider: Provider, capabilities: Collection[str]) -> None:
        """Raise Forbidden without the right to the service name, Conflict for an instance that another account holds."""
        if not may_register(provider.service, capabilities):
            raise Forbidden(
                f"{provider.account} may not register {provider.service}; "
                f"it needs the capability {REGISTER}{provider.service}.",
                service=provider.service,
            )
        known = self._providers.get(provider.service, {}).get(provider.instance_id)
        if known is not None and known.account != provider.account:
            raise Conflict(
                f"The instance {provider.instance_id} of {provider.service} is registered by another account.",
                service=provider.service,
            )

    def withdraw(self, session_id: str, service: str, instance_id: str) -> Provider:
        """Take a provider away; raises NotFound unless this session registered it."""
        if self._owners.get((service, instance_id)) != session_id:
            raise NotFound(f"This session did not register {instance_id} of {service}.", service=service)
        return self._remove(service, instance_id)

    def withdraw_session(self, session_id: str) -> list[Provider]:
        """Take away everything that a session registered, and return it."""
        keys = [key for key, owner in self._owners.items() if owner == session_id]
        return [self._remove(*key) for key in keys]

    def _remove(self, service: str, instance_id: str) -> Provider:
        provider = self._providers[service].pop(instance_id)
        if not self._providers[service]:
            del self._providers[service]
        del self._owners[service, instance_id]
        return provider
