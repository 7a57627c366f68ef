"""What the Uid Server asks of its store; MySQL and memory implement it."""

from collections.abc import Awaitable

from zope.interface import Interface

from spire.uid.block import Block


class IUidStore(Interface):
    """The counter of a platform; any number of servers may share one."""

    def next_id() -> Awaitable[int]:
        """Return the lowest identifier that was never reserved. Raises StoreDown."""

    def reserve(size: int, at_least: int) -> Awaitable[Block]:
        """Reserve `size` identifiers, none below `at_least`, that nobody else ever gets.

        Raises StoreDown (some may be lost then, none is given out twice) and TooLong when there are no more.
        """
