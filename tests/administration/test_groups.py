"""Groups, traders, accounts and roles: what an administrator decides, and the Locator makes."""

from collections.abc import Awaitable
from typing import Any

from attrs import evolve

from spire.administration import groups
from spire.administration.values import Trader, TradingGroup
from spire.locator.values import ROOT_ID, Right
from spire.runtime.log_context import log_context
from spire.service.audit import audit_events
from spire.values.audit import DONE, AuditEvent, AuditQuery
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from tests.administration.room import GOOD_PASSWORD, TERMS, RoomTestCase, limit_terms

TRADES = Right.VIEW | Right.TRADE


async def correlated(correlation_id: str, work: Awaitable[Any]) -> Any:
    """Do what calls a server, with a correlation id of one's own."""
    with log_context(correlation_id=correlation_id):
        return await work


class GroupTestCase(RoomTestCase):
    """A group `desk`, on demand."""

    def make_group(self, name: str = "desk") -> TradingGroup:
        """Make a trading group."""
        group: TradingGroup = self.run_it(self.client().create_group(name))
        return group

    def make_trader(self, name: str = "tess", group: TradingGroup | None = None, **changed: Any) -> Trader:
        """Make a trader in a group."""
        group = self.make_group() if group is None else group
        self.passwords[name] = GOOD_PASSWORD
        terms = evolve(TERMS, firm_designated_id=name, **changed)
        trader: Trader = self.run_it(self.client().create_trader(group.group_id, name, GOOD_PASSWORD, terms))
        return trader

    def make_account(self, name: str, role: str) -> int:
        """Make a person in a role."""
        self.passwords[name] = GOOD_PASSWORD
        return int(self.run_it(self.client().create_account(name, GOOD_PASSWORD, role)))

    def locator_events(self, **query: Any) -> list[AuditEvent]:
        """Return the newest events of the Locator's log but those of set-up."""
        session = self.spire("administrator").link.session
        events, _ = self.run_it(audit_events(session, AuditQuery(**query)))
        return [event for event in events if event.actor_name != "setup"]

    def granted(self, account_id: int, path: str) -> Right:
        """Return the rights that are granted to an account on what stands at a path."""
        held = [grant.rights for grant in self.entry(path).grants if grant.account_id == account_id]
        return Right(sum(held))

    def is_missing(self, path: str) -> bool:
        """Whether nothing stands at a path."""
        return isinstance(self.refusal(self.spire("administrator").link.calls.find(path)), NotFound)


class GroupTests(GroupTestCase):
    """Trading groups."""

    def test_a_group_comes_with_its_directories(self) -> None:
        """They stand where everybody looks for them."""
        group = self.make_group()
        self.assertEqual(self.entry("trading_groups/desk").entry_id, group.group_id)
        found = [self.entry(f"trading_groups/desk/{name}").entry_id for name in ("managers", "traders", "accounts")]
        self.assertEqual(found, [group.managers_id, group.traders_id, group.accounts_id])

    def test_the_locators_log_names_the_administrator(self) -> None:
        """The service acts, for him."""
        self.make_group()
        administrator = self.entry("administrators/administrator").entry_id
        told = {(event.actor_name, event.on_behalf_of, event.outcome) for event in self.locator_events()}
        self.assertEqual(told, {("administration_service", administrator, DONE)})

    def test_the_locators_log_holds_the_administrators_own_session(self) -> None:
        """With channel, address, client and correlation id, as ours holds what he does here, and of what is refused."""
        trader = self.make_trader()
        client = self.client()
        moved = client.change_roles(trader.account_id, add=("manager:desk",), reason="promoted")
        self.run_it(correlated("roles", moved))
        self.refusal(correlated("group", client.create_group("demo")))
        limited = client.set_limits(trader.trading_account_id, limit_terms(), expected_version=0, reason="new")
        self.run_it(correlated("limits", limited))
        (here,) = self.events(action="limits.set")
        there = self.locator_events()
        self.assertEqual({event.action for event in there}, {"group.make", "person.make", "account.move"})
        told = {(event.session, event.channel, event.source, event.client_version) for event in there}
        self.assertEqual(told, {(here.session, here.channel, here.source, here.client_version)})
        self.assertEqual({each.correlation_id for each in there if each.action == "account.move"}, {"roles"})
        self.assertEqual({each.correlation_id for each in there if each.outcome != DONE}, {"group"})
        self.assertEqual(here.correlation_id, "limits")

    def test_only_administrators_make_groups(self) -> None:
        """The attempt is on record, and nothing was made."""
        self.officer()
        for account in ("demo_trader", "olga", "risk_service"):
            self.assertIsInstance(self.refusal(self.client(account).create_group("desk")), Forbidden)
        self.assertEqual(self.outcomes("group.create"), ["FORBIDDEN"] * 3)
        self.assertTrue(self.is_missing("trading_groups/desk"))

    def test_a_taken_name_is_a_conflict_and_a_bad_one_invalid(self) -> None:
        """On record where it was refused, at the Locator."""
        self.assertIsInstance(self.refusal(self.client().create_group("demo")), Conflict)
        self.assertIsInstance(self.refusal(self.client().create_group("a/b")), Invalid)
        self.assertEqual([event.outcome for event in self.locator_events(action="group.make")], ["INVALID", "CONFLICT"])

    def test_everybody_sees_his_own_groups(self) -> None:
        """An administrator sees all, a trader his, a manager his."""
        desk = self.make_group()
        self.make_trader(group=desk)
        self.make_account("max", "manager:desk")
        names = {
            account: [group.name for group in self.run_it(self.client(account).groups())]
            for account in ("administrator", "demo_trader", "tess", "max")
        }
        self.assertEqual(
            names, {"administrator": ["demo", "desk"], "demo_trader": ["demo"], "tess": ["desk"], "max": ["desk"]}
        )

    def test_more_groups_than_a_page(self) -> None:
        """All come, by id."""
        self.patch(groups, "PAGE", 2)
        for number in range(4):
            self.make_group(f"g{number}")
        names = [group.name for group in self.run_it(self.client().groups())]
        self.assertEqual(names, ["demo", "g0", "g1", "g2", "g3"])


class TraderTests(GroupTestCase):
    """Traders and their trading accounts."""

    def test_a_trader_logs_in_and_has_his_trading_account(self) -> None:
        """With VIEW and TRADE on it."""
        trader = self.make_trader()
        book = self.entry("trading_groups/desk/accounts/tess")
        self.assertEqual(
            (book.entry_id, book.terms), (trader.trading_account_id, evolve(TERMS, firm_designated_id="tess"))
        )
        self.assertEqual(self.spire("tess").account_id, trader.account_id)
        (seen,) = self.run_it(self.spire("tess").link.calls.trading_accounts())
        self.assertEqual(seen.grants[0].rights, int(Right.VIEW | Right.TRADE))

    def test_limits_can_be_set_at_once(self) -> None:
        """The new trading account is known here before the answer."""
        trader = self.make_trader()
        limits = self.run_it(
            self.client().set_limits(trader.trading_account_id, limit_terms(), expected_version=0, reason="new")
        )
        self.assertEqual(limits.version, 1)
        self.assertEqual(self.run_it(self.client("tess").standing(trader.trading_account_id)).limits, limits)

    def test_bad_traders_are_refused_whole(self) -> None:
        """An unknown currency, group, id; a weak password; a taken name; neither account nor trading account is there."""
        group = self.make_group()
        client = self.client()

        def make(
            name: str = "tess", group_id: int = group.group_id, password: str = GOOD_PASSWORD, **terms: Any
        ) -> Any:
            return self.refusal(client.create_trader(group_id, name, password, evolve(TERMS, **terms)))

        self.assertEqual(make(base_currency="XXQ").details["argument"], "terms.base_currency")
        self.assertEqual(make(firm_designated_id="").details["argument"], "terms.firm_designated_id")
        self.assertEqual(make(client_identifier="x").details["argument"], "terms.client_identifier")
        self.assertEqual(make(aggregation_unit="x" * 101).details["argument"], "terms.aggregation_unit")
        self.assertIsInstance(make(group_id=group.traders_id), NotFound)
        self.assertIsInstance(make(password="tess"), Invalid)
        self.assertIsInstance(make(name="demo_trader"), Conflict)
        self.assertTrue(self.is_missing("trading_groups/desk/traders/tess"))
        self.assertTrue(self.is_missing("trading_groups/desk/accounts/tess"))
        self.assertEqual(self.outcomes("trader.create"), ["NOT_FOUND", "INVALID", "INVALID", "INVALID", "INVALID"])
        self.assertEqual([e.outcome for e in self.locator_events(action="person.make")], ["CONFLICT", "INVALID"])

    def test_no_log_holds_a_password(self) -> None:
        """Neither of a trader who was made nor of one who was not."""
        self.make_trader()
        self.refusal(self.client("demo_trader").create_trader(1, "eve", "another good password", TERMS))
        logs = str((self.events(), self.locator_events()))
        self.assertFalse(GOOD_PASSWORD in logs or "another good password" in logs)

    def test_without_the_locator_nothing_is_made(self) -> None:
        """UNAVAILABLE, which is no refusal and leaves no event."""
        client = self.client()
        self.platform.stop("service-locator")
        self.assertIsInstance(self.refusal(client.create_group("desk")), Unavailable)
        self.platform.start("service-locator")
        self.platform.advance(5.0)
        self.assertEqual(self.run_it(client.create_group("desk")).name, "desk")
        self.assertEqual(self.events(action="group.create"), ())


class RoleTests(GroupTestCase):
    """People in roles."""

    def roles(self, account: str) -> set[str]:
        """Return the roles that somebody logs in with."""
        entry = self.run_it(self.spire("administrator").link.calls.load(self.spire(account).account_id))
        return {path.rsplit("/", 1)[0] for path in entry[1]}

    def test_each_role_has_its_place(self) -> None:
        """Of the firm, and of a group."""
        self.make_group()
        for name, role in (
            ("ada", "administrator"),
            ("olga", "risk_officer"),
            ("aud", "auditor"),
            ("op", "operator"),
            ("max", "manager:desk"),
            ("tom", "trader:desk"),
        ):
            self.make_account(name, role)
        places = {name: self.roles(name) for name in ("ada", "olga", "aud", "op", "max", "tom")}
        self.assertEqual(
            places,
            {
                "ada": {"/administrators"},
                "olga": {"/risk_officers"},
                "aud": {"/auditors"},
                "op": {"/operators"},
                "max": {"/trading_groups/desk/managers"},
                "tom": {"/trading_groups/desk/traders"},
            },
        )

    def test_a_new_administrator_administers(self) -> None:
        """With the rights on the root that the first one has."""
        self.make_account("ada", "administrator")
        self.assertEqual(self.run_it(self.client("ada").create_group("desk")).name, "desk")
        self.run_it(self.spire("ada").link.calls.make_directory("other", ROOT_ID))

    def test_a_manager_sees_the_accounts_of_his_group(self) -> None:
        """And of no other."""
        trader = self.make_trader()
        self.make_account("max", "manager:desk")
        self.run_it(self.client("max").standing(trader.trading_account_id))
        self.assertIsInstance(self.refusal(self.client("max").standing(self.book.entry_id)), Forbidden)

    def test_a_trader_becomes_manager_and_trader_again(self) -> None:
        """Rights come and go with the role, at once."""
        desk = self.make_group()
        tess, tom = self.make_trader("tess", desk), self.make_trader("tom", desk)
        client = self.client()
        self.run_it(
            client.change_roles(tess.account_id, add=("manager:desk",), remove=("trader:desk",), reason="promoted")
        )
        self.assertEqual(self.run_it(self.client("tess").standing(tom.trading_account_id)).limits, None)
        self.run_it(
            client.change_roles(tess.account_id, add=("trader:desk",), remove=("manager:desk",), reason="he failed")
        )
        self.assertEqual(self.roles("tess"), {"/trading_groups/desk/traders"})
        self.assertEqual(self.entry("trading_groups/desk").grants, ())
        self.platform.advance(5.0)
        self.assertIsInstance(self.refusal(self.client("tess").standing(tom.trading_account_id)), Forbidden)
        reasons = [
            event.reason for event in self.locator_events(action="account.move", entity=f"account:{tess.account_id}")
        ]
        self.assertEqual(reasons, ["he failed", "promoted"])

    def test_whoever_is_no_trader_any_more_trades_nothing_in_the_group(self) -> None:
        """Neither his own trading account nor others; other rights stay, as do those of others and of other groups."""
        desk, floor = self.make_group("desk"), self.make_group("floor")
        tess, tom, kim = self.make_trader("tess", desk), self.make_trader("tom", desk), self.make_trader("kim", floor)
        grant = self.spire("administrator").link.calls.grant
        self.run_it(grant(tess.account_id, tom.trading_account_id, TRADES | Right.READ | Right.MANAGE))
        self.run_it(grant(tess.account_id, kim.trading_account_id, TRADES))
        self.run_it(
            self.client().change_roles(tess.account_id, add=("auditor",), remove=("trader:desk",), reason="moved")
        )
        self.assertEqual(self.granted(tess.account_id, "trading_groups/desk/accounts/tess"), Right.NONE)
        left = self.granted(tess.account_id, "trading_groups/desk/accounts/tom")
        self.assertEqual(left, Right.READ | Right.MANAGE)
        self.assertEqual(self.granted(tess.account_id, "trading_groups/floor/accounts/kim"), TRADES)
        self.assertEqual(self.granted(tom.account_id, "trading_groups/desk/accounts/tom"), TRADES)
        moved = self.locator_events(action="account.move")
        self.assertEqual(len({event.entity_version for event in moved}), 1)
        self.assertEqual(
            {event.entity for event in moved},
            {f"account:{tess.account_id}"} | {f"trading_account:{trader.trading_account_id}" for trader in (tess, tom)},
        )

    def test_whoever_is_a_trader_again_trades_his_own_trading_account(self) -> None:
        """That of his name; others must be granted anew. What he held there meanwhile stays."""
        desk = self.make_group()
        tess, tom = self.make_trader("tess", desk), self.make_trader("tom", desk)
        grant = self.spire("administrator").link.calls.grant
        self.run_it(grant(tess.account_id, tom.trading_account_id, TRADES))
        client = self.client()
        self.run_it(client.change_roles(tess.account_id, add=("auditor",), remove=("trader:desk",), reason="moved"))
        self.run_it(grant(tess.account_id, tess.trading_account_id, Right.READ))
        self.run_it(client.change_roles(tess.account_id, add=("trader:desk",), remove=("auditor",), reason="back"))
        self.assertEqual(self.granted(tess.account_id, "trading_groups/desk/accounts/tess"), TRADES | Right.READ)
        self.assertEqual(self.granted(tess.account_id, "trading_groups/desk/accounts/tom"), Right.NONE)

    def test_whoever_has_no_trading_account_in_the_group_is_given_none(self) -> None:
        """He is its trader, and may be granted some."""
        self.make_group("floor")
        tess = self.make_trader().account_id
        self.run_it(self.client().change_roles(tess, add=("trader:floor",), reason="helps out"))
        self.assertEqual(self.roles("tess"), {"/trading_groups/desk/traders", "/trading_groups/floor/traders"})
        self.assertEqual(self.granted(tess, "trading_groups/desk/accounts/tess"), TRADES)

    def test_more_than_one_change_takes_is_refused_whole(self) -> None:
        """A trader who keeps the half of his trading accounts would be one still."""
        self.patch(groups, "MOST_STEPS", 3)
        desk = self.make_group()
        tess, tom = self.make_trader("tess", desk), self.make_trader("tom", desk)
        self.run_it(self.spire("administrator").link.calls.grant(tess.account_id, tom.trading_account_id, TRADES))
        moved = self.client().change_roles(tess.account_id, add=("auditor",), remove=("trader:desk",), reason="moved")
        error = self.refusal(moved)
        self.assertEqual((error.coded, error.details["most"]), ("CONFLICT", "3"))
        self.assertEqual(self.roles("tess"), {"/trading_groups/desk/traders"})
        self.assertEqual(self.granted(tess.account_id, "trading_groups/desk/accounts/tess"), TRADES)
        self.assertEqual(self.outcomes("roles.change"), ["CONFLICT"])

    def test_other_rights_on_the_group_are_left_alone(self) -> None:
        """What was granted separately stays when the role comes and when it goes."""
        desk = self.make_group()
        tess = self.make_trader("tess", desk).account_id
        self.run_it(self.spire("administrator").link.calls.grant(tess, desk.group_id, Right.TRADE | Right.READ))
        self.run_it(self.client().change_roles(tess, add=("manager:desk",), reason="promoted"))
        self.assertEqual(self.granted(tess, "trading_groups/desk"), Right.TRADE | groups.MANAGER_RIGHTS)
        self.run_it(self.client().change_roles(tess, remove=("manager:desk",), reason="he failed"))
        self.assertEqual(self.granted(tess, "trading_groups/desk"), Right.TRADE)

    def test_other_rights_on_the_root_are_left_alone(self) -> None:
        """An administrator's are those that the role takes away."""
        tess = self.make_trader().account_id
        self.run_it(self.spire("administrator").link.calls.grant(tess, ROOT_ID, Right.TRADE))
        self.run_it(self.client().change_roles(tess, add=("administrator",), reason="promoted"))
        self.run_it(self.client().change_roles(tess, remove=("administrator",), reason="he failed"))
        self.assertEqual(self.granted(tess, "/"), Right.TRADE)

    def test_the_last_administrator_stays_one(self) -> None:
        """CONFLICT, and nothing of it happened."""
        number = self.spire("administrator").account_id
        error = self.refusal(
            self.client().change_roles(number, add=("auditor",), remove=("administrator",), reason="tired")
        )
        self.assertIsInstance(error, Conflict)
        self.assertEqual(self.roles("administrator"), {"/administrators"})

    def test_nobody_is_left_without_a_role(self) -> None:
        """His last one stays."""
        number = self.make_account("aud", "auditor")
        error = self.refusal(self.client().change_roles(number, remove=("auditor",), reason="left"))
        self.assertIsInstance(error, Conflict)

    def test_an_administrator_who_is_one_no_more_administers_nothing(self) -> None:
        """Neither here nor in the directory."""
        ada = self.make_account("ada", "administrator")
        client = self.client("ada")
        self.run_it(self.client().change_roles(ada, add=("auditor",), remove=("administrator",), reason="moved"))
        self.platform.advance(5.0)
        self.assertIsInstance(self.refusal(client.create_group("desk")), Forbidden)
        self.assertIsInstance(self.refusal(self.spire("ada").link.calls.make_directory("x", ROOT_ID)), Forbidden)

    def test_what_makes_no_sense_is_refused(self) -> None:
        """Unknown roles, groups, accounts; services; what he is not; both at once; no reason."""
        number = self.make_account("aud", "auditor")
        client = self.client()
        service = self.spire("risk_service").account_id
        cases = (
            (client.change_roles(number, add=("king",), reason="x"), "INVALID"),
            (client.change_roles(number, add=("manager:nowhere",), reason="x"), "NOT_FOUND"),
            (client.change_roles(number, add=("manager",), reason="x"), "INVALID"),
            (client.change_roles(number, add=("service",), reason="x"), "INVALID"),
            (client.change_roles(999_999, add=("auditor",), reason="x"), "NOT_FOUND"),
            (client.change_roles(service, add=("auditor",), reason="x"), "CONFLICT"),
            (client.change_roles(number, remove=("operator",), reason="x"), "CONFLICT"),
            (client.change_roles(number, add=("auditor",), remove=("auditor",), reason="x"), "INVALID"),
            (client.change_roles(number, add=("operator",), reason=" "), "INVALID"),
            (self.client("demo_trader").change_roles(number, add=("operator",), reason="x"), "FORBIDDEN"),
        )
        codes = [self.refusal(work).coded for work, _ in cases]
        self.assertEqual(codes, [code for _, code in cases])
        self.assertEqual(self.outcomes("roles.change"), list(reversed(codes)))

    def test_an_account_in_no_role_is_not_made(self) -> None:
        """The role says where it stands."""
        error = self.refusal(self.client().create_account("kim", GOOD_PASSWORD, "king"))
        self.assertEqual((error.coded, error.details["argument"]), ("INVALID", "role"))
        self.assertEqual(self.outcomes("account.create"), ["INVALID"])
