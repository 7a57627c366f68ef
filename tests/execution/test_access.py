"""Who may do what with the orders of a trading account."""

from twisted.trial.unittest import SynchronousTestCase

from spire.execution import access
from spire.locator.directory import Directory
from spire.locator.values import AccountKind, Entry, Grant, Kind, Right
from spire.values.time import Timestamp
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity
from tests.values.examples import make_submission

ROOT, OFFICERS, GROUP, ACCOUNT, TRADER, MANAGER, VIEWER, OFFICER, STRANGER = 1, 2, 3, 7, 10, 11, 12, 13, 14
SERVICES, RISK, PLAIN, SERVER = 20, 21, 22, 23
REGISTERS = "service.register:web_portal"


def directory() -> Directory:
    """Return a group with a trading account, and people around it."""
    made = Directory()

    def person(entry_id: int, *parents: int) -> Entry:
        return Entry(
            entry_id=entry_id, kind=Kind.ACCOUNT, name=f"p{entry_id}", parents=parents, account_kind=AccountKind.PERSON
        )

    def service(entry_id: int, *capabilities: str) -> Entry:
        return Entry(
            entry_id=entry_id,
            kind=Kind.ACCOUNT,
            name=f"s{entry_id}",
            parents=(SERVICES,),
            account_kind=AccountKind.SERVICE,
            capabilities=capabilities,
        )

    grants = (
        Grant(account_id=TRADER, rights=Right.VIEW | Right.TRADE),
        Grant(account_id=VIEWER, rights=Right.VIEW),
    )
    for entry in (
        Entry(entry_id=ROOT, kind=Kind.DIRECTORY, name="*"),
        Entry(entry_id=OFFICERS, kind=Kind.DIRECTORY, name="risk_officers", parents=(ROOT,)),
        Entry(
            entry_id=GROUP,
            kind=Kind.DIRECTORY,
            name="group",
            parents=(ROOT,),
            grants=(Grant(account_id=MANAGER, rights=Right.MANAGE),),
        ),
        Entry(entry_id=ACCOUNT, kind=Kind.TRADING_ACCOUNT, name="acct", parents=(GROUP,), grants=grants),
        person(TRADER, ROOT),
        person(MANAGER, ROOT),
        person(VIEWER, ROOT),
        person(OFFICER, OFFICERS),
        person(STRANGER, ROOT),
        Entry(entry_id=SERVICES, kind=Kind.DIRECTORY, name="services", parents=(ROOT,)),
        service(RISK, "risk.set_state"),
        service(PLAIN),
        service(SERVER, REGISTERS),
    ):
        made.put(entry)
    return made


def identity(account_id: int, *roles: str, capabilities: tuple[str, ...] = ()) -> Identity:
    """Return who is logged in."""
    return Identity(
        account_id=account_id,
        account=f"p{account_id}",
        roles=frozenset(roles),
        capabilities=frozenset(capabilities),
        expires=Timestamp(1),
    )


class AccessTests(SynchronousTestCase):
    """Rights as the directory has them now."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = directory()

    def may_cancel(self, who: Identity, entered_by: int = TRADER) -> bool:
        """Return whether a cancel passes."""
        try:
            access.require_cancel(self.directory, who, make_submission(entered_by=entered_by))
        except Forbidden:
            return False
        return True

    def test_who_trades_may_submit(self) -> None:
        """TRADE on the account, or MANAGE on its group."""
        self.assertEqual(access.require_trade(self.directory, identity(TRADER), ACCOUNT).name, "acct")
        self.assertEqual(access.require_trade(self.directory, identity(MANAGER), ACCOUNT).name, "acct")

    def test_who_only_looks_may_not_submit(self) -> None:
        """VIEW is not enough, a risk officer's role neither."""
        with self.assertRaises(Forbidden):
            access.require_trade(self.directory, identity(VIEWER), ACCOUNT)
        with self.assertRaises(Forbidden):
            access.require_trade(self.directory, identity(OFFICER, "risk_officer"), ACCOUNT)

    def test_a_disabled_account_takes_no_order(self) -> None:
        """Whoever asks."""
        entry = self.directory.entry(ACCOUNT)
        self.directory.put(Entry(**{name: getattr(entry, name) for name in _NAMES} | {"disabled": True}))
        with self.assertRaises(Forbidden):
            access.require_trade(self.directory, identity(TRADER), ACCOUNT)

    def test_what_is_no_trading_account_is_not_found(self) -> None:
        """A person is none."""
        with self.assertRaises(NotFound):
            access.require_trade(self.directory, identity(TRADER), TRADER)

    def test_who_may_look(self) -> None:
        """VIEW, TRADE, MANAGE, and the roles that see all; a stranger not."""
        seen = {
            who.account_id
            for who in (
                identity(TRADER),
                identity(MANAGER),
                identity(VIEWER),
                identity(OFFICER, "risk_officer"),
                identity(STRANGER),
            )
            if access.may_view(self.directory, who, ACCOUNT)
        }
        self.assertEqual(seen, {TRADER, MANAGER, VIEWER, OFFICER})

    def test_a_role_that_was_withdrawn_sees_nothing(self) -> None:
        """The ticket still says it, the directory does not."""
        self.assertFalse(access.may_view(self.directory, identity(STRANGER, "risk_officer"), ACCOUNT))

    def test_who_may_cancel(self) -> None:
        """Who submitted it, who may trade, managers, risk officers and the Risk Server."""
        self.assertTrue(self.may_cancel(identity(TRADER)))
        self.assertTrue(self.may_cancel(identity(MANAGER)))
        self.assertTrue(self.may_cancel(identity(OFFICER, "risk_officer")))
        self.assertTrue(self.may_cancel(identity(RISK, capabilities=("risk.set_state",))))
        self.assertTrue(self.may_cancel(identity(STRANGER), entered_by=STRANGER))

    def test_who_may_not_cancel(self) -> None:
        """Looking is not enough, nor is a capability that the ticket alone names."""
        self.assertFalse(self.may_cancel(identity(VIEWER)))
        self.assertFalse(self.may_cancel(identity(STRANGER)))
        self.assertFalse(self.may_cancel(identity(PLAIN, capabilities=("risk.set_state",))))

    def may_read(self, who: Identity, topic: str) -> bool:
        """Return whether a topic is open to somebody."""
        try:
            access.require_topic(self.directory, who, topic)
        except Forbidden:
            return False
        return True

    def test_the_risk_server_may_submit_everywhere(self) -> None:
        """Also where the trading account is disabled: it must be able to close positions."""
        risk = identity(RISK, "service", capabilities=("risk.set_state",))
        entry = self.directory.entry(ACCOUNT)
        self.directory.put(Entry(**{name: getattr(entry, name) for name in _NAMES} | {"disabled": True}))
        self.assertEqual(access.require_trade(self.directory, risk, ACCOUNT).name, "acct")
        with self.assertRaises(NotFound):
            access.require_trade(self.directory, risk, TRADER)

    def test_who_reads_the_events_of_the_firm(self) -> None:
        """Risk officers and services that verify or set risk states; no trader, no manager, no other service."""
        officer = identity(OFFICER, "risk_officer")
        risk = identity(RISK, "service", capabilities=("risk.set_state",))
        server = identity(SERVER, "service", capabilities=(REGISTERS,))
        self.assertTrue(self.may_read(officer, "activity/0"))
        self.assertTrue(self.may_read(risk, "activity/0"))
        for who in (identity(TRADER), identity(MANAGER), identity(PLAIN, "service"), server):
            self.assertFalse(self.may_read(who, "activity/0"), who)

    def test_who_reads_the_halts(self) -> None:
        """Servers too, whose traders want to know; no trader himself, no feed and no script."""
        self.assertTrue(self.may_read(identity(OFFICER, "risk_officer"), "halts"))
        self.assertTrue(self.may_read(identity(SERVER, "service", capabilities=(REGISTERS,)), "halts"))
        self.assertFalse(self.may_read(identity(PLAIN, "service"), "halts"))
        self.assertFalse(self.may_read(identity(PLAIN, "service", capabilities=(REGISTERS,)), "halts"))
        self.assertFalse(self.may_read(identity(TRADER), "halts"))
        self.assertFalse(self.may_read(identity(STRANGER, "risk_officer"), "halts"))

    def test_a_topic_of_another_name_is_not_found(self) -> None:
        """Whoever asks."""
        with self.assertRaises(NotFound):
            access.require_topic(self.directory, identity(OFFICER, "risk_officer"), "activity/00")


_NAMES = ("entry_id", "kind", "name", "parents", "grants", "account_kind", "capabilities", "terms")
