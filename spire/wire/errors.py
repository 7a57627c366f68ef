"""The error vocabulary of the wire: a stable code, a text for a person, details for a program."""

# ruff: noqa: N818 (the classes are named as the codes are, which end in no Error)

from typing import ClassVar


class SpireError(Exception):
    """A refusal that may cross the wire.

    `code` is stable and belongs to programs; `message` tells a person what to do next and holds no secret; `details`
    are short texts by name. Raised in a responder it reaches the caller as the same class; a code that the caller does
    not know arrives as `Refused`.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **details: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.details = {name: str(value) for name, value in details.items()}

    def __str__(self) -> str:
        return f"{self.coded}: {self.message}"

    @property
    def coded(self) -> str:
        """The code of this very error; `Refused` carries one of its own."""
        return self.code


class NotAuthenticated(SpireError):
    """Nobody is logged in here, or the proof of who it is does not hold."""

    code = "NOT_AUTHENTICATED"


class CredentialsRefused(NotAuthenticated):
    """The Locator has refused the credentials for good: trying again with the same ones is of no use.

    Only credentials raise it, on the client's side; it never arrives from the wire.
    """


class Forbidden(SpireError):
    """Whoever asks is known and may not do that."""

    code = "FORBIDDEN"


class NotFound(SpireError):
    """What was named does not exist, or the caller may not know that it does."""

    code = "NOT_FOUND"


class Invalid(SpireError):
    """An argument does not parse or makes no sense; `details["argument"]` names it where it is one."""

    code = "INVALID"


class Conflict(SpireError):
    """The request contradicts what holds now: a version, a state, an id that is taken."""

    code = "CONFLICT"


class Unavailable(SpireError):
    """Who should answer cannot be reached, or has not answered in time."""

    code = "UNAVAILABLE"

    @property
    def in_doubt(self) -> bool:
        """Whether the call may have been carried out although no answer came."""
        return self.details.get("in_doubt") == "yes"


class Overloaded(SpireError):
    """Too much is asked at once; the same request may succeed later."""

    code = "OVERLOADED"


class Internal(SpireError):
    """A fault of the server, whose log says more; the text never does."""

    code = "INTERNAL"


class Unsupported(SpireError):
    """A correct request for something that this release or destination does not do."""

    code = "UNSUPPORTED"


class Refused(SpireError):
    """A refusal with a code of a service's own, such as SHORT_REQUIRED or STORE_DOWN."""

    code = "REFUSED"

    def __init__(self, code: str, message: str, **details: str | int) -> None:
        super().__init__(message, **details)
        self._code = code

    @property
    def coded(self) -> str:
        """The service's own code."""
        return self._code


COMMON: dict[str, type[SpireError]] = {
    kind.code: kind
    for kind in (
        NotAuthenticated,
        Forbidden,
        NotFound,
        Invalid,
        Conflict,
        Unavailable,
        Overloaded,
        Internal,
        Unsupported,
    )
}


def error_of(code: str, message: str, details: dict[str, str] | None = None) -> SpireError:
    """Return the error that `code` names, as it was raised at the other end; an unknown code makes a `Refused`."""
    kind = COMMON.get(code)
    error = Refused(code, message) if kind is None else kind(message)
    error.details.update(details or {})
    return error
