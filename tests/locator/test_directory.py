"""Rights, roles and paths in the directory."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.directory import Directory, is_server
from spire.locator.values import AccountKind, Kind, Right
from spire.values.time import Timestamp
from spire.wire.errors import Forbidden, NotFound
from spire.wire.identity import Identity
from tests.locator.places import (
    ACCOUNTS,
    ADA,
    ADMINISTRATORS,
    BOOK,
    DEMO,
    GROUPS,
    MANAGERS,
    MAX,
    NEW,
    ROOT,
    SERVICES,
    TESS,
    TRADERS,
    UID,
    account,
    demo,
    held,
    place,
)


class RightsTests(SynchronousTestCase):
    """Rights flow down the target's ancestry, and only there."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_a_grant_on_the_entry_itself_holds(self) -> None:
        """The trader may trade his own trading account."""
        self.assertTrue(self.directory.holds(TESS, Right.TRADE, BOOK))

    def test_a_grant_above_reaches_what_stands_beneath(self) -> None:
        """The group's manager manages its trading accounts."""
        self.assertTrue(self.directory.holds(MAX, Right.MANAGE, BOOK))

    def test_a_grant_beneath_does_not_reach_up(self) -> None:
        """Trading one account gives nothing on its group."""
        self.assertFalse(self.directory.holds(TESS, Right.TRADE, DEMO))

    def test_any_parent_suffices(self) -> None:
        """An entry with a second parent takes the rights held there as well."""
        other = place(NEW, "other", ROOT)
        self.directory.put(evolve(other, grants=(held(TESS, Right.READ),)))
        self.directory.put(evolve(self.directory.entry(UID), parents=(SERVICES, NEW)))
        self.assertTrue(self.directory.holds(TESS, Right.READ, UID))

    def test_standing_in_a_directory_gives_the_holder_nothing(self) -> None:
        """A grant to a directory is not a grant to the accounts in it."""
        self.directory.put(evolve(self.directory.entry(BOOK), grants=(held(TRADERS, Right.TRADE),)))
        self.assertFalse(self.directory.holds(TESS, Right.TRADE, BOOK))

    def test_rights_of_two_grants_do_not_add_up(self) -> None:
        """READ here and TRADE above are each held, but no one grant holds both."""
        self.directory.put(evolve(self.directory.entry(BOOK), grants=(held(MAX, Right.TRADE),)))
        self.assertTrue(self.directory.holds(MAX, Right.TRADE, BOOK))
        self.assertTrue(self.directory.holds(MAX, Right.READ, BOOK))
        self.assertFalse(self.directory.holds(MAX, Right.READ | Right.TRADE, BOOK))

    def test_administrate_does_not_imply_read(self) -> None:
        """Each right is granted by name."""
        self.directory.put(evolve(self.directory.entry(BOOK), grants=(held(TESS, Right.ADMINISTRATE),)))
        self.assertFalse(self.directory.holds(TESS, Right.READ, BOOK))

    def test_an_account_may_read_itself(self) -> None:
        """READ on oneself needs no grant, and nothing else comes with it."""
        self.assertTrue(self.directory.holds(TESS, Right.READ, TESS))
        self.assertFalse(self.directory.holds(TESS, Right.ADMINISTRATE, TESS))

    def test_a_disabled_account_holds_nothing(self) -> None:
        """Disabling takes every right at once."""
        self.directory.put(evolve(self.directory.entry(TESS), disabled=True))
        self.assertFalse(self.directory.holds(TESS, Right.TRADE, BOOK))

    def test_nothing_is_held_on_an_unknown_entry(self) -> None:
        """An id that is not there is refused, also to who holds everything on the root."""
        self.assertFalse(self.directory.holds(ADA, Right.READ, NEW))

    def test_a_missing_right_is_forbidden_by_name(self) -> None:
        """The refusal says which right is missing."""
        error = self.assertRaises(Forbidden, self.directory.require, TESS, Right.MANAGE, BOOK)
        self.assertEqual(error.details["right"], "MANAGE")

    def test_a_missing_entry_is_not_found(self) -> None:
        """An unknown id is NOT_FOUND."""
        self.assertRaises(NotFound, self.directory.require, ADA, Right.READ, NEW)

    def test_rows_that_form_a_cycle_for_a_moment_do_not_hang(self) -> None:
        """A follower that has one row of two still answers."""
        self.directory.put(place(NEW, "low", NEW + 1))
        self.directory.put(place(NEW + 1, "high", NEW))
        self.assertFalse(self.directory.holds(ADA, Right.READ, NEW))
        self.assertEqual(self.directory.paths(NEW), [])


class RoleTests(SynchronousTestCase):
    """Roles come from membership of the well-known directories."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_each_directory_gives_its_role(self) -> None:
        """Administrator, service, manager and trader are where they stand."""
        found = [self.directory.roles(who) for who in (ADA, UID, MAX, TESS)]
        self.assertEqual(found, [{"administrator"}, {"service"}, {"manager"}, {"trader"}])

    def test_a_directory_of_the_same_name_elsewhere_gives_none(self) -> None:
        """Only the place beneath the root counts."""
        self.directory.put(place(NEW, "administrators", DEMO))
        self.directory.put(account(TESS, "tess", NEW))
        self.assertEqual(self.directory.roles(TESS), frozenset())

    def test_standing_two_levels_below_gives_none(self) -> None:
        """Membership is direct."""
        self.directory.put(place(NEW, "inner", ADMINISTRATORS))
        self.directory.put(account(TESS, "tess", NEW))
        self.assertEqual(self.directory.roles(TESS), frozenset())

    def test_a_service_is_never_an_administrator(self) -> None:
        """Wherever it stands, a service has no person's role."""
        self.directory.put(account(UID, "uid_service", ADMINISTRATORS, MANAGERS, SERVICES, kind=AccountKind.SERVICE))
        self.assertEqual(self.directory.roles(UID), {"service"})

    def test_a_disabled_account_has_no_role_and_no_capability(self) -> None:
        """Disabling takes roles and capabilities."""
        self.directory.put(evolve(self.directory.entry(UID), disabled=True, capabilities=("uid.reserve",)))
        self.assertEqual(self.directory.roles(UID) | self.directory.capabilities(UID), frozenset())

    def test_the_members_of_a_role_are_listed(self) -> None:
        """Everybody who holds a role can be found."""
        self.assertEqual([entry.name for entry in self.directory.members("trader")], ["tess"])


class PathTests(SynchronousTestCase):
    """Entries are found by path."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_a_path_leads_to_its_entry(self) -> None:
        """Names are followed from the root, with or without a first slash."""
        for path in ("trading_groups/demo/accounts/tess", "/trading_groups/demo/accounts/tess"):
            found = self.directory.find(path)
            assert found is not None
            self.assertEqual(found.entry_id, BOOK)

    def test_the_empty_path_is_the_root(self) -> None:
        """Both spellings of the root's path work."""
        self.assertEqual([self.directory.find(""), self.directory.find("/")], [self.directory.entry(ROOT)] * 2)

    def test_an_empty_step_or_a_wrong_name_finds_nothing(self) -> None:
        """There are no short cuts."""
        found = [self.directory.find(path) for path in ("trading_groups//demo", "trading_groups/x/y", "Administrators")]
        self.assertEqual(found, [None, None, None])

    def test_an_entry_has_a_path_through_each_parent(self) -> None:
        """All paths are listed."""
        self.directory.put(account(TESS, "tess", TRADERS, ADMINISTRATORS))
        self.assertEqual(self.directory.paths(TESS), ["/administrators/tess", "/trading_groups/demo/traders/tess"])
        self.assertEqual(self.directory.paths(ROOT), ["/"])

    def test_accounts_are_found_by_name_whatever_the_case(self) -> None:
        """The login name is not case-sensitive, and a trading account is no account."""
        found = self.directory.account("TESS")
        assert found is not None
        self.assertEqual(found.entry_id, TESS)

    def test_a_renamed_account_is_found_by_its_new_name_only(self) -> None:
        """Writing an entry anew moves its name."""
        self.directory.put(account(TESS, "tessa", TRADERS))
        self.assertIsNone(self.directory.account("tess"))
        self.assertIsNotNone(self.directory.account("tessa"))

    def test_trading_accounts_by_right(self) -> None:
        """The trading accounts on which a right is held are listed."""
        self.assertEqual([entry.entry_id for entry in self.directory.trading_accounts(MAX, Right.MANAGE)], [BOOK])
        self.assertEqual(self.directory.trading_accounts(UID, Right.TRADE), [])

    def test_the_groups_of_an_entry(self) -> None:
        """Trader, manager and trading account stand in their group; an administrator in none."""
        found = [[group.entry_id for group in self.directory.groups_of(who)] for who in (TESS, MAX, BOOK, ADA)]
        self.assertEqual(found, [[DEMO], [DEMO], [DEMO], []])

    def test_removed_entries_are_gone_from_every_index(self) -> None:
        """Nothing finds an entry that was removed."""
        self.directory.remove(TESS)
        self.assertIsNone(self.directory.account("tess"))
        self.assertEqual(self.directory.children(TRADERS), [])
        self.assertNotIn(TESS, self.directory)


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, tuple[int, ...]]]:
    """Draw nodes 1..n, each with parents of a smaller number."""
    size = draw(st.integers(2, 8))
    return [
        (node, tuple(sorted(draw(st.sets(st.integers(1, node - 1), max_size=3))))) if node > 1 else (1, ())
        for node in range(1, size + 1)
    ]


class InheritanceProperties(SynchronousTestCase):
    """For any graph, a right is held exactly where the grant's place is an ancestor."""

    @settings(max_examples=80)
    @given(graphs(), st.data())
    def test_a_right_is_held_exactly_beneath_its_grant(
        self, graph: list[tuple[int, tuple[int, ...]]], data: st.DataObject
    ) -> None:
        """Reachability upwards, computed independently, decides."""
        granted = data.draw(st.sampled_from([node for node, _ in graph]))
        target = data.draw(st.sampled_from([node for node, _ in graph]))
        entries = [place(node, f"n{node}", *parents) for node, parents in graph]
        directory = Directory([*entries, account(99, "who")])
        directory.put(evolve(directory.entry(granted), grants=(held(99, Right.MOVE),)))
        above = {target}
        for node, parents in reversed(graph):
            above |= set(parents) if node in above else set()
        self.assertEqual(directory.holds(99, Right.MOVE, target), granted in above)


class LineageTests(SynchronousTestCase):
    """What binds an entry, from the root down: rules and halts are asked in this order."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_it_leads_from_the_root_to_the_entry(self) -> None:
        """Each directory once, the entry last."""
        self.assertEqual(self.directory.lineage(BOOK), (ROOT, GROUPS, DEMO, ACCOUNTS, BOOK))

    def test_the_root_stands_alone(self) -> None:
        """Nothing is above it."""
        self.assertEqual(self.directory.lineage(ROOT), (ROOT,))

    def test_an_unknown_entry_has_none(self) -> None:
        """Nor is there an entry to stand at its end."""
        self.assertEqual(self.directory.lineage(NEW), ())

    def test_every_parent_is_in_it(self) -> None:
        """What stands above any parent comes before that parent, and everything before the entry."""
        self.directory.put(place(NEW, "desk", GROUPS))
        self.directory.put(evolve(self.directory.entry(BOOK), parents=(ACCOUNTS, NEW)))
        found = self.directory.lineage(BOOK)
        self.assertEqual(set(found), {ROOT, GROUPS, DEMO, ACCOUNTS, NEW, BOOK})
        self.assertEqual((found[:2], found[-1]), ((ROOT, GROUPS), BOOK))
        self.assertLess(found.index(DEMO), found.index(ACCOUNTS))

    def test_a_parent_above_another_parent_comes_first(self) -> None:
        """An entry directly in a group and in a directory of it: the longest way up counts."""
        self.directory.put(evolve(self.directory.entry(BOOK), parents=(DEMO, ACCOUNTS)))
        self.assertEqual(self.directory.lineage(BOOK), (ROOT, GROUPS, DEMO, ACCOUNTS, BOOK))

    def test_a_parent_that_is_not_there_yet_is_left_out(self) -> None:
        """Rows may come before their parents do."""
        self.directory.put(evolve(self.directory.entry(BOOK), parents=(ACCOUNTS, NEW)))
        self.assertEqual(self.directory.lineage(BOOK), (ROOT, GROUPS, DEMO, ACCOUNTS, BOOK))

    def test_rows_that_form_a_cycle_for_a_moment_do_not_hang(self) -> None:
        """Everything above is named once."""
        self.directory.put(evolve(self.directory.entry(DEMO), parents=(GROUPS, ACCOUNTS)))
        found = self.directory.lineage(BOOK)
        self.assertEqual(sorted(found), sorted((ROOT, GROUPS, DEMO, ACCOUNTS, BOOK)))

    @settings(max_examples=80)
    @given(graphs(), st.data())
    def test_each_stands_after_all_above_it(
        self, graph: list[tuple[int, tuple[int, ...]]], data: st.DataObject
    ) -> None:
        """For any graph: the ancestry, in an order that goes down only."""
        directory = Directory([place(node, f"n{node}", *parents) for node, parents in graph])
        target = data.draw(st.sampled_from([node for node, _ in graph]))
        found = directory.lineage(target)
        self.assertEqual(sorted(found), sorted(directory.ancestry(target)))
        for at, node in enumerate(found):
            self.assertLessEqual(set(directory.entry(node).parents), set(found[:at]))


class KindTests(SynchronousTestCase):
    """Only accounts hold rights."""

    def test_a_trading_account_or_directory_holds_nothing(self) -> None:
        """A grant whose holder is not an account is empty."""
        directory = demo()
        directory.put(evolve(directory.entry(ACCOUNTS), grants=(held(BOOK, Right.READ),)))
        self.assertEqual(directory.entry(BOOK).kind, Kind.TRADING_ACCOUNT)
        self.assertFalse(directory.holds(BOOK, Right.READ, ACCOUNTS))


class ServerTests(SynchronousTestCase):
    """A server of the platform may register a service, by its ticket and at this moment."""

    REGISTERS = "service.register:uid_service"

    def setUp(self) -> None:
        self.directory = demo()
        self.hold(self.REGISTERS)

    def hold(self, *capabilities: str, parent: int = SERVICES) -> None:
        """Give the service these capabilities and no others, and let it stand here."""
        self.directory.put(evolve(self.directory.entry(UID), capabilities=capabilities, parents=(parent,)))

    def is_server(self, *capabilities: str, role: str = "service", account_id: int = UID) -> bool:
        """Return what is said of somebody with this ticket."""
        who = Identity(
            account_id=account_id,
            account="who",
            roles=frozenset((role,)),
            capabilities=frozenset(capabilities),
            expires=Timestamp(1),
        )
        return is_server(self.directory, who)

    def test_who_may_register_a_service_is_one(self) -> None:
        """Whatever else it may."""
        self.assertTrue(self.is_server(self.REGISTERS, "uid.reserve"))

    def test_a_service_that_registers_none_is_not(self) -> None:
        """Feeds and scripts."""
        self.hold("market_data.publish", "day.open")
        self.assertFalse(self.is_server("market_data.publish", "day.open"))

    def test_what_only_the_ticket_says_is_over(self) -> None:
        """A capability that was withdrawn, a role too."""
        self.hold()
        self.assertFalse(self.is_server(self.REGISTERS))
        self.hold(self.REGISTERS, parent=ROOT)
        self.assertFalse(self.is_server(self.REGISTERS))

    def test_what_only_the_directory_says_has_not_begun(self) -> None:
        """Until it logs in again."""
        self.assertFalse(self.is_server())

    def test_a_person_is_never_one(self) -> None:
        """Also with the capability."""
        self.directory.put(evolve(self.directory.entry(ADA), capabilities=(self.REGISTERS,)))
        self.assertFalse(self.is_server(self.REGISTERS, role="administrator", account_id=ADA))
