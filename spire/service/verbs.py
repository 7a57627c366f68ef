"""What an operator can ask of a running process: verbs by name, the room's own beside the common ones."""

import inspect
from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from spire.wire.errors import Invalid, NotFound

Function = Callable[..., object | Awaitable[object]]


@frozen(kw_only=True)
class Verb:
    """One verb: a function of text and JSON keyword arguments that answers something JSON can carry."""

    name: str
    purpose: str
    function: Function


class Verbs:
    """The verbs of one process."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}

    def add(self, name: str, function: Function, purpose: str) -> None:
        """Offer a verb; a name taken already is a fault of ours."""
        if name in self._verbs:
            raise ValueError(f"the verb {name} exists already")
        self._verbs[name] = Verb(name=name, purpose=purpose, function=function)

    @property
    def purposes(self) -> Mapping[str, str]:
        """Each verb with its one sentence."""
        return {name: verb.purpose for name, verb in sorted(self._verbs.items())}

    async def run(self, name: str, arguments: Mapping[str, object]) -> object:
        """Run a verb; NotFound for an unknown one, Invalid for arguments that it does not take."""
        verb = self._verbs.get(name)
        if verb is None:
            raise NotFound(f"no verb {name}: there are {', '.join(sorted(self._verbs))}")
        try:
            inspect.signature(verb.function).bind(**arguments)
        except TypeError as error:
            raise Invalid(f"{name}: {error}") from error
        answer = verb.function(**arguments)
        if inspect.isawaitable(answer):
            answer = await answer
        return answer
