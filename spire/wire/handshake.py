"""The commands with which a connection begins, is kept alive and ends."""

from attrs import frozen

from spire.values.environment import Environment
from spire.values.time import Timestamp
from spire.wire.arguments import Bytes, Integer, Text
from spire.wire.commands import Command, Push

# Raised when a peer of the release before could not follow; servers accept their own and the one before it.
PROTOCOL_VERSION = 1
OLDEST_PROTOCOL_VERSION = 1


class Hello(Command):
    """First from the client: what it speaks, where it believes to be, and what it is.

    The answer names the server's instance and epoch and gives the nonce that the proof of a ticket signs. Refused with
    CONFLICT, and the connection closed, where protocol version, environment or service differ.
    """

    arguments = [
        (b"protocol", Integer(minimum=0, maximum=0xFFFF)),
        (b"environment", Text(longest=32)),
        (b"service", Text(longest=128)),
        (b"client_version", Text(longest=128)),
    ]
    response = [
        (b"protocol", Integer(minimum=0, maximum=0xFFFF)),
        (b"environment", Text(longest=32)),
        (b"service", Text(longest=128)),
        (b"instance_id", Text(longest=128)),
        (b"epoch", Integer()),
        (b"nonce", Bytes()),
        (b"time", Integer()),
    ]


class Authenticate(Command):
    """Log in with a ticket and the proof that its key is at hand.

    The answer's nonce is for the next proof. Raises NOT_AUTHENTICATED where ticket or proof does not hold, CONFLICT
    where the session is logged in already.
    """

    arguments = [(b"ticket", Text()), (b"proof", Bytes())]
    response = [(b"nonce", Bytes()), (b"expires", Integer())]
    login = True


class Reauthenticate(Command):
    """Lengthen a logged-in session with a renewed ticket of the same account and login.

    Capabilities and roles become the new ticket's. Raises NOT_AUTHENTICATED where ticket or proof does not hold,
    CONFLICT where it names somebody else.
    """

    arguments = [(b"ticket", Text()), (b"proof", Bytes())]
    response = [(b"nonce", Bytes()), (b"expires", Integer())]
    login = True


class Heartbeat(Push):
    """A sign of life, both ways."""


class Goodbye(Push):
    """Why the other end closes the connection, sent just before it does."""

    arguments = [(b"code", Text(longest=128)), (b"message", Text(longest=2_000))]


@frozen(kw_only=True)
class Greeting:
    """What a server said of itself in its hello."""

    protocol: int
    environment: Environment
    service: str
    instance_id: str
    epoch: int
    nonce: bytes
    time: Timestamp
