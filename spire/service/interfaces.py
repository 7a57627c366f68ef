"""What the service floor needs of the Service Locator without importing its room; `spire.locator.client` implements it."""

from collections.abc import Callable, Mapping

from zope.interface import Attribute

from spire.wire.interfaces import IAddresses, ITicketVerifier
from spire.wire.server_session import ServerFactory


class ILocator(ITicketVerifier, IAddresses):
    """A process's link to the Service Locator: tickets, addresses, registration and the live directory.

    It survives the Locator: tickets are verified and addresses answered from what was last received.
    """

    credentials = Attribute("ICredentials: proves this process's account to any service.")
    directory = Attribute("spire.locator.directory.Directory: the directory as last received.")
    is_ready = Attribute("Whether the link is connected, logged in and holds the Locator's topics now.")

    def start() -> None:
        """Begin to connect, and keep connecting; returns at once."""

    async def stop() -> None:
        """Log out and close."""

    async def when_ready(timeout_seconds: float | None = None) -> None:
        """Wait until the Locator's topics are here; Unavailable after `timeout_seconds`."""

    def guard(factory: ServerFactory) -> None:
        """Close sessions of `factory` as soon as their login ends or their account loses rights."""

    async def register(service: str, addresses: tuple[str, ...], properties: Mapping[str, str]) -> None:
        """Offer a service under this process's account, and again after every reconnect; Forbidden without the right."""

    async def withdraw() -> None:
        """Take back everything registered here."""

    def on_state(callback: Callable[[bool], None]) -> None:
        """Call back with whether the link is ready, at every change."""
