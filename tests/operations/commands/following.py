"""Commands that go on until they are ended, and what they write."""

from collections.abc import Awaitable, Callable
from io import StringIO

from twisted.internet.defer import Deferred

from spire.client.platform import Spire
from spire.operations.commands.output import Output
from tests.operations.commands.room import CommandTestCase


class Kept(Output):
    """Keeps what it is told to write."""

    def __init__(self, written: list[str]) -> None:
        super().__init__(as_json=True, stderr=StringIO())
        self._written = written

    def write(self, text: str) -> None:
        """Keep it."""
        self._written.append(text)


class FollowTestCase(CommandTestCase):
    """Commands that go on until they are ended."""

    def followed(self, account: str, body: Callable[[Spire], Awaitable[None]]) -> Deferred[None]:
        """Run what goes on, as an account."""

        async def follow() -> None:
            async with self.client(account) as spire:
                await body(spire)

        return Deferred.fromCoroutine(follow())
