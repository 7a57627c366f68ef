"""Halts in force, and who may set and release which."""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.execution.halts import Actor, Halts, check_release, check_request
from spire.execution.orders import Orders
from spire.execution.values import FIRM, Halt, HaltRequest
from spire.values.risk import HaltAction, HaltMode, HaltScope
from spire.values.time import Timestamp
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, SpireError, Unsupported
from tests.execution.examples import ACCOUNT, tell_of_the_firm

OFFICER, OTHER, RISK, HOST = (
    Actor(account_id=5),
    Actor(account_id=6),
    Actor(account_id=9, is_risk=True),
    Actor(account_id=None),
)
FIRMWIDE = Halt(
    halt_id=1, scope=HaltScope.FIRM, scope_id=FIRM, mode=HaltMode.NO_NEW, reason="x", set_by=5, set_at=Timestamp(1)
)
OF_ACCOUNT = evolve(
    FIRMWIDE,
    halt_id=2,
    scope=HaltScope.TRADING_ACCOUNT,
    scope_id=ACCOUNT,
    mode=HaltMode.NO_OPENING,
    set_by=9,
    announces=4,
)
ENDED = {"released": Timestamp(2), "released_by": 6, "release_reason": "y"}


def request(**changes: Any) -> HaltRequest:
    """Return the request of FIRMWIDE, changed as named."""
    fields: dict[str, Any] = {"scope": HaltScope.FIRM, "mode": HaltMode.NO_NEW, "reason": "x"}
    return HaltRequest(**(fields | changes))


def of_account(**changes: Any) -> HaltRequest:
    """Return the request of OF_ACCOUNT, changed as named."""
    fields: dict[str, Any] = {
        "scope": HaltScope.TRADING_ACCOUNT,
        "scope_id": ACCOUNT,
        "mode": HaltMode.NO_OPENING,
        "announces": 4,
    }
    return request(**(fields | changes))


class HaltsTests(SynchronousTestCase):
    """What is in force."""

    def setUp(self) -> None:
        """Set one for the firm and one for an account."""
        self.halts = Halts()
        self.halts.put(FIRMWIDE)
        self.halts.put(OF_ACCOUNT)

    def test_a_scope_holds_its_accounts(self) -> None:
        """The firm's holds all."""
        self.assertEqual(self.halts.on(ACCOUNT), (FIRMWIDE, OF_ACCOUNT))
        self.assertEqual(self.halts.on(ACCOUNT + 1), (FIRMWIDE,))

    def test_a_released_one_is_over(self) -> None:
        """Its id is not given out again."""
        self.halts.put(evolve(OF_ACCOUNT, **ENDED))
        self.assertEqual((self.halts.in_force, self.halts.last_id), ((FIRMWIDE,), 2))
        with self.assertRaises(Conflict):
            self.halts.find(2)
        with self.assertRaises(NotFound):
            self.halts.find(3)

    def test_a_release_that_was_lost_leaves_it_in_force(self) -> None:
        """As it was before."""
        released = evolve(FIRMWIDE, **ENDED)
        self.halts.put(released)
        self.halts.reinstate(released)
        self.assertEqual(self.halts.in_force, (FIRMWIDE, OF_ACCOUNT))

    def test_the_same_again_is_found(self) -> None:
        """By scope, mode and who set it."""
        self.assertEqual(self.halts.same(request(), OFFICER), FIRMWIDE)
        self.assertIsNone(self.halts.same(request(), OTHER))
        self.assertIsNone(self.halts.same(request(mode=HaltMode.NO_OPENING), OFFICER))
        self.assertEqual(self.halts.same(of_account(announces=7), RISK), OF_ACCOUNT)

    def test_an_announced_version_or_a_later_one_ends_it(self) -> None:
        """Never a person's."""
        self.assertEqual(self.halts.announced({ACCOUNT: 3}.__getitem__), ())
        self.assertEqual(self.halts.announced({ACCOUNT: 4}.__getitem__), (OF_ACCOUNT,))
        self.assertEqual(self.halts.announced({ACCOUNT: 5}.__getitem__), (OF_ACCOUNT,))

    def test_the_events_of_the_firm_make_them(self) -> None:
        """Folded from nothing, they are what they were; sequences are dense."""
        live, replayed = Orders(epoch=1), Orders(epoch=1)
        events = [
            tell_of_the_firm(live, number, halt).activity
            for number, halt in enumerate((FIRMWIDE, OF_ACCOUNT, evolve(FIRMWIDE, **ENDED)))
        ]
        for event in events:
            replayed.fold(event)
        self.assertEqual([event.sequence for event in events], [1, 2, 3])
        self.assertEqual((replayed.halts.in_force, replayed.halts.last_id), ((OF_ACCOUNT,), 2))

    def test_what_the_store_holds_is_taken_over(self) -> None:
        """With the last id, which an ended halt may have had."""
        restored = Halts()
        restored.restore((OF_ACCOUNT,), 7)
        self.assertEqual((restored.on(ACCOUNT), restored.last_id), ((OF_ACCOUNT,), 7))


class RequestTests(SynchronousTestCase):
    """What may be set, and by whom."""

    def refusal(self, asked: HaltRequest, actor: Actor = OFFICER) -> tuple[type[SpireError], str | None]:
        """Return how a request is refused: kind and argument."""
        with self.assertRaises(SpireError) as caught:
            check_request(asked, actor)
        return type(caught.exception), caught.exception.details.get("argument")

    def test_good_ones_pass(self) -> None:
        """A person's, the host's and Risk's own."""
        for asked, actor in (
            (request(actions=HaltAction.CANCEL_ALL), OFFICER),
            (request(), HOST),
            (of_account(announces=None, mode=HaltMode.NO_NEW), OFFICER),
            (of_account(), RISK),
        ):
            self.assertIsNone(check_request(asked, actor), asked)

    def test_a_reason_is_needed(self) -> None:
        """Blanks are none, and a book is too long."""
        self.assertEqual(self.refusal(request(reason=" ")), (Invalid, "reason"))
        self.assertEqual(self.refusal(request(reason="x" * 1001)), (Invalid, "reason"))

    def test_other_scopes_and_actions_are_unsupported(self) -> None:
        """Never treated as something else."""
        self.assertEqual(self.refusal(request(scope=HaltScope.VENUE, scope_id=8)), (Unsupported, "scope"))
        self.assertEqual(self.refusal(request(actions=HaltAction.FLATTEN)), (Unsupported, "actions"))

    def test_a_scope_has_its_id(self) -> None:
        """The firm none, a trading account its own."""
        self.assertEqual(self.refusal(request(scope_id=3)), (Invalid, "scope_id"))
        self.assertEqual(self.refusal(of_account(scope_id=0, announces=None)), (Invalid, "scope_id"))
        self.assertEqual(self.refusal(of_account(scope_id=2**63, announces=None)), (Invalid, "scope_id"))

    def test_only_risk_announces_and_must(self) -> None:
        """A version from 1."""
        self.assertEqual(self.refusal(of_account()), (Invalid, "announces"))
        self.assertEqual(self.refusal(of_account(announces=None), RISK), (Invalid, "announces"))
        self.assertEqual(self.refusal(of_account(announces=0), RISK), (Invalid, "announces"))

    def test_risk_stops_opening_on_accounts_only(self) -> None:
        """The rest is for persons."""
        self.assertEqual(self.refusal(of_account(mode=HaltMode.NO_NEW), RISK)[0], Forbidden)
        self.assertEqual(self.refusal(request(mode=HaltMode.NO_OPENING, announces=1), RISK)[0], Forbidden)


class ReleaseTests(SynchronousTestCase):
    """One sets, another releases."""

    def may(self, halt: Halt, actor: Actor) -> bool:
        """Return whether an actor may release a halt."""
        try:
            check_release(halt, "it is over", actor)
        except Forbidden:
            return False
        return True

    def test_another_officer_releases(self) -> None:
        """Not the one who set it, nor Risk, nor the host."""
        self.assertEqual(
            [self.may(FIRMWIDE, each) for each in (OTHER, OFFICER, RISK, HOST)], [True, False, False, False]
        )

    def test_risks_own_is_released_by_risk_or_an_officer(self) -> None:
        """Not by the host."""
        self.assertEqual([self.may(OF_ACCOUNT, each) for each in (RISK, OFFICER, HOST)], [True, True, False])

    def test_what_was_set_on_the_host_is_released_there_or_by_an_officer(self) -> None:
        """Who works at the socket has no other one to ask."""
        of_host = evolve(FIRMWIDE, set_by=None)
        self.assertEqual([self.may(of_host, each) for each in (HOST, OFFICER, RISK)], [True, True, False])

    def test_a_reason_is_needed(self) -> None:
        """Here too."""
        with self.assertRaises(Invalid):
            check_release(FIRMWIDE, "", OTHER)
