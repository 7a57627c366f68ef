"""What every command of the platform has in common."""

from typing import ClassVar

from twisted.protocols import amp

from spire.wire.errors import COMMON


class Command(amp.Command):
    """A command with the platform's errors.

    A room declares `arguments` and `response` with the types of `spire.wire.arguments`; `requiresAnswer = False` makes
    a one-way push. Each call carries a `correlation_id` beside its arguments: the guard gives it to the session and to
    the log, responders do not take it.

    `login` marks a command whose NOT_AUTHENTICATED counts as a failed login of the connection. `cancel_on_close` lets
    the guard cancel a responder whose caller has gone; without it the responder runs to its end unheard, because half
    an order is worse than an unread answer.
    """

    errors: ClassVar[dict[type[Exception], bytes]] = {kind: code.encode() for code, kind in COMMON.items()}

    login: ClassVar[bool] = False
    cancel_on_close: ClassVar[bool] = False


class Push(Command):
    """A one-way command: no answer, no error; unknown to an older peer it is ignored."""

    requiresAnswer = False  # noqa: N815 (Twisted's name)
