"""Log fields that follow the work."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.log_context import current_log_context, log_context


class LogContextTests(SynchronousTestCase):
    """Fields hold within the block and in the coroutines that it started."""

    def test_fields_nest_and_end(self) -> None:
        """An inner block adds to the outer one's fields and takes them away again."""
        with log_context(session="s1"):
            with log_context(command="Hello"):
                self.assertEqual(dict(current_log_context()), {"session": "s1", "command": "Hello"})
            self.assertEqual(dict(current_log_context()), {"session": "s1"})
        self.assertEqual(dict(current_log_context()), {})

    def test_a_coroutine_keeps_the_fields_of_its_start(self) -> None:
        """What resumes later still knows for whom it works."""
        gate: Deferred[None] = Deferred()

        async def work() -> object:
            await gate
            return current_log_context().get("session")

        with log_context(session="s1"):
            result = Deferred.fromCoroutine(work())
        with log_context(session="s2"):
            gate.callback(None)
        self.assertEqual(self.successResultOf(result), "s1")
