"""The Uid Server's commands."""

from typing import ClassVar

from twisted.protocols.amp import Argument

from spire.uid.block import LARGEST_BLOCK, SMALLEST_BLOCK
from spire.wire.arguments import Integer
from spire.wire.commands import Command

RESERVE = "uid.reserve"
"""The capability that `ReserveBlock` asks for."""


class ReserveBlock(Command):
    """Reserve `size` identifiers; the answer is the first of them. Calling again reserves others."""

    arguments: ClassVar[list[tuple[bytes, Argument]]] = [
        (b"size", Integer(minimum=SMALLEST_BLOCK, maximum=LARGEST_BLOCK)),
    ]
    response: ClassVar[list[tuple[bytes, Argument]]] = [(b"first", Integer())]
