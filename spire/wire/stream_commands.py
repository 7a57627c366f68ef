"""The commands that open streams, and the one-way pushes that fill them."""

from typing import Final

from attrs import frozen

from spire.wire.arguments import Bytes, Integer, Text, Typed
from spire.wire.commands import Command, Push
from spire.wire.errors import SpireError
from spire.wire.topics import Mode, Policy

LONGEST_TOPIC: Final = 200
"""Bytes of a topic's name."""

REQUESTS_PER_CALL: Final = 150
"""Topics that one Subscribe may name; a client with more pages them."""

LONGEST_REFUSAL: Final = 200
"""Bytes of a refused topic's message, so that all answers of a call fit one value."""

FIRST_LOAD: Final = 1 << 31
"""Stream numbers from here on are chosen by the client, for its loads; those below belong to the server's topics."""

Epoch = int | str
"""The epoch of a log topic is a number, that of a state topic the instance id of the server that holds its rows."""


@frozen(kw_only=True)
class TopicRequest:
    """What a client wants of one topic.

    With `after` it goes on behind that sequence of `epoch` (None: whichever epoch the server has). Without, or in
    another epoch, it begins behind `begin`, or with what comes next where that is None. `filter` is opaque to the wire.
    """

    topic: str
    epoch: Epoch | None = None
    after: int | None = None
    begin: int | None = None
    policy: Policy = Policy.LOSSLESS
    filter: bytes | None = None


@frozen(kw_only=True)
class TopicAnswer:
    """How the server met one request, in the order of the requests.

    Segments of `stream` follow from `after` on; `through` is where the topic stood. A refusal has a `code`, and as much
    of the message as fits: REQUESTS_PER_CALL answers of whatever kind take less than one value holds. `topic` is empty:
    clients of the release before require the field, and none of them reads it.
    """

    topic: str = ""
    mode: Mode
    stream: int = 0
    epoch: Epoch | None = None
    after: int = 0
    through: int = 0
    code: str = ""
    message: str = ""


def refusal(error: SpireError) -> TopicAnswer:
    """Return the answer that `error` makes."""
    message = error.message.encode()[:LONGEST_REFUSAL].decode(errors="ignore")
    return TopicAnswer(mode=Mode.REFUSED, code=error.coded, message=message)


class Subscribe(Command):
    """Open or resume streams, each answered for itself. A stream that is open on this session begins anew."""

    arguments = [(b"requests", Typed(tuple[TopicRequest, ...]))]
    response = [(b"answers", Typed(tuple[TopicAnswer, ...]))]


class Unsubscribe(Command):
    """Close streams by their numbers; unknown ones are ignored."""

    arguments = [(b"streams", Typed(tuple[int, ...]))]
    response = []


class Segments(Push):
    """A box of joined segments (`spire.wire.segments`)."""

    arguments = [(b"data", Bytes())]


class StreamEnded(Push):
    """The end of a stream before its time, with a code that says whether to come again."""

    arguments = [(b"stream", Integer(minimum=0)), (b"code", Text(longest=100)), (b"message", Text())]
