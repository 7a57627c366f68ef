"""Addresses that are known beforehand: how the Locator itself is found, and tests find anything."""

from collections.abc import Callable, Iterable

from zope.interface import implementer

from spire.values.environment import Environment
from spire.wire.identity import Provider
from spire.wire.interfaces import IAddresses


@implementer(IAddresses)
class FixedAddresses:
    """One provider of one service, at configured addresses, which never change."""

    def __init__(self, service: str, addresses: Iterable[str], environment: Environment, account: str = "") -> None:
        self._provider = Provider(
            service=service,
            instance_id="",
            addresses=tuple(addresses),
            account=account or service,
            environment=environment.name,
        )

    async def addresses(self, service: str) -> list[Provider]:
        """Return the provider where `service` is the one that is known."""
        return [self._provider] if service == self._provider.service else []

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Keep nothing: there is no change."""
