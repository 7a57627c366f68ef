"""Order Execution with two risk officers."""

from typing import Any

from spire.execution.client import OrderExecutionClient
from spire.execution.values import Halt, HaltOutcome, HaltRequest
from spire.values.risk import HaltMode, HaltScope
from tests.execution.room import ExecutionRoomTestCase


class HaltTestCase(ExecutionRoomTestCase):
    """Two risk officers."""

    def setUp(self) -> None:
        """Log them in."""
        super().setUp()
        self.one = self.trader(self.rooms.officer("first_officer"))
        self.other = self.trader(self.rooms.officer("second_officer"))

    def set_halt(self, client: OrderExecutionClient, mode: HaltMode = HaltMode.NO_NEW, **changes: Any) -> HaltOutcome:
        """Set a halt of the firm, changed as named."""
        outcome: HaltOutcome = self.result(client.set_halt(self.halt(mode, **changes)))
        self.advance(0.1)
        return outcome

    def of_account(self, mode: HaltMode = HaltMode.NO_OPENING, **changes: Any) -> HaltRequest:
        """Return the request of a halt of the trader's account."""
        fields = {"scope": HaltScope.TRADING_ACCOUNT, "scope_id": self.account.trading_account_id}
        return self.halt(mode, **(fields | changes))

    def release(self, client: OrderExecutionClient, halt: Halt) -> Halt:
        """Release a halt."""
        released: Halt = self.result(client.release_halt(halt.halt_id, "it is over"))
        self.advance(0.1)
        return released

    def restart(self) -> None:
        """Crash, start again, and let everybody find his way back."""
        self.crash()
        self.serve()
        self.advance(5.0)

    def in_force(self) -> list[Halt]:
        """Return the halts in force as a service sees them that comes new."""
        view = self.risk.halts()
        self.platform.run(view.when_ready())
        self.advance(0.1)
        return [view.rows[key] for key in sorted(view.rows)]
