"""What each command may do to the directory."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.locator import changes
from spire.locator.directory import Directory
from spire.locator.values import AccountKind, Change, Right
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound
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
    TERMS,
    TESS,
    TRADERS,
    UID,
    account,
    demo,
    held,
    place,
)


def applied(directory: Directory, change: Change) -> Directory:
    """Apply a change to a directory and return it."""
    for entry in change.put:
        directory.put(entry)
    for entry_id in change.removed:
        directory.remove(entry_id)
    return directory


class NameTests(SynchronousTestCase):
    """Names can stand in paths and do not mislead."""

    def test_blanks_slashes_and_control_characters_are_refused(self) -> None:
        """What would break a path or hide in a listing is INVALID."""
        for name in ("", "a b", " a", "a/b", "a\n", "a\x00", "a\u00a0b", ".", "..", "*", "x" * 101, "e\u0301"):
            error = self.assertRaises(Invalid, changes.check_name, name)
            self.assertEqual(error.details["argument"], "name", name)

    def test_ordinary_names_stand(self) -> None:
        """Letters of any script, digits and punctuation are names."""
        self.assertEqual(changes.check_name("o'neill-7@desk_é"), "o'neill-7@desk_é")


class MakingTests(SynchronousTestCase):
    """Accounts, trading accounts and directories are made under rights and name rules."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_an_administrator_makes_an_account(self) -> None:
        """The account stands where it was asked for."""
        change = changes.make_account(self.directory, ADA, NEW, "kim", TRADERS, AccountKind.PERSON)
        self.assertEqual(applied(self.directory, change).roles(NEW), {"trader"})

    def test_making_needs_administrate_on_the_parent(self) -> None:
        """READ, MOVE and MANAGE are not enough."""
        self.assertRaises(Forbidden, changes.make_account, self.directory, MAX, NEW, "kim", TRADERS, AccountKind.PERSON)
        self.assertRaises(Forbidden, changes.make_directory, self.directory, MAX, NEW, "desk", DEMO)

    def test_account_names_are_unique_whatever_their_case(self) -> None:
        """A second tess is refused anywhere in the directory."""
        self.assertRaises(Conflict, changes.make_account, self.directory, ADA, NEW, "Tess", ROOT, AccountKind.PERSON)

    def test_a_trading_account_may_share_its_traders_name(self) -> None:
        """Only accounts compete for account names."""
        self.assertEqual(self.directory.entry(BOOK).name, self.directory.entry(TESS).name)

    def test_siblings_differ_in_name(self) -> None:
        """A directory cannot take the name of an account beside it."""
        self.assertRaises(Conflict, changes.make_directory, self.directory, ADA, NEW, "tess", TRADERS)

    def test_the_same_directory_name_may_stand_elsewhere(self) -> None:
        """Names are compared among siblings only."""
        change = changes.make_directory(self.directory, ADA, NEW, "traders", ROOT)
        self.assertEqual(change.put[0].name, "traders")

    def test_only_directories_hold_entries(self) -> None:
        """An account is no place to put something."""
        self.assertRaises(Invalid, changes.make_directory, self.directory, ADA, NEW, "desk", TESS)

    def test_an_unknown_parent_is_not_found(self) -> None:
        """The parent must be there."""
        self.assertRaises(NotFound, changes.make_directory, self.directory, ADA, NEW, "desk", 999)

    def test_a_trading_account_gives_its_trader_view_and_trade(self) -> None:
        """The trader can trade it from the start."""
        change = changes.make_trading_account(self.directory, ADA, NEW, "second", ACCOUNTS, TERMS, TESS)
        self.assertTrue(applied(self.directory, change).holds(TESS, Right.VIEW | Right.TRADE, NEW))
        self.assertEqual(self.directory.entry(NEW).terms, TERMS)

    def test_a_trading_account_stands_in_a_groups_accounts_only(self) -> None:
        """Anywhere else it would have no group."""
        for parent in (ROOT, TRADERS, DEMO, SERVICES):
            self.assertRaises(
                Invalid, changes.make_trading_account, self.directory, ADA, NEW, "second", parent, TERMS, TESS
            )

    def test_a_service_account_cannot_be_made_among_administrators(self) -> None:
        """People and services hold different roles."""
        for parent, kind in ((ADMINISTRATORS, AccountKind.SERVICE), (SERVICES, AccountKind.PERSON)):
            self.assertRaises(Conflict, changes.make_account, self.directory, ADA, NEW, "x", parent, kind)


class MovingTests(SynchronousTestCase):
    """Entries are associated and detached without gaining rights by it, and without cycles."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_move_on_the_parent_alone_does_not_pull_a_foreign_entry(self) -> None:
        """Who may MOVE in his group cannot gain his group's rights over an account by pulling it there."""
        self.assertFalse(self.directory.holds(MAX, Right.MANAGE, UID))
        self.assertRaises(Forbidden, changes.associate, self.directory, MAX, ADA, TRADERS)
        self.assertFalse(self.directory.holds(MAX, Right.MANAGE, ADA))

    def test_administrate_on_the_entry_alone_does_not_push_it_anywhere(self) -> None:
        """The parent's MOVE is needed as well."""
        self.directory.put(evolve(self.directory.entry(TESS), grants=(held(TESS, Right.ADMINISTRATE),)))
        self.assertRaises(Forbidden, changes.associate, self.directory, TESS, TESS, ADMINISTRATORS)

    def test_with_both_rights_it_stands_in_both(self) -> None:
        """The administrator makes a trader a manager too."""
        change = changes.associate(self.directory, ADA, TESS, MANAGERS)
        self.assertEqual(applied(self.directory, change).roles(TESS), {"trader", "manager"})

    def test_associating_again_changes_nothing(self) -> None:
        """The command is idempotent."""
        self.assertTrue(changes.associate(self.directory, ADA, TESS, TRADERS).is_empty)

    def test_a_cycle_is_refused(self) -> None:
        """A directory can stand neither beneath itself nor beneath what it holds."""
        for parent in (GROUPS, DEMO, ACCOUNTS):
            self.assertRaises(Conflict, changes.associate, self.directory, ADA, GROUPS, parent)

    def test_a_service_is_not_associated_with_administrators(self) -> None:
        """A service never gains the administrator role."""
        self.assertRaises(Conflict, changes.associate, self.directory, ADA, UID, ADMINISTRATORS)

    def test_associating_keeps_siblings_apart(self) -> None:
        """An entry cannot come where its name is taken."""
        self.directory.put(place(NEW, "tess", MANAGERS))
        self.assertRaises(Conflict, changes.associate, self.directory, ADA, TESS, MANAGERS)

    def test_the_last_parent_is_kept(self) -> None:
        """No entry becomes an orphan."""
        self.assertRaises(Conflict, changes.detach, self.directory, ADA, TESS, TRADERS)

    def test_detaching_takes_the_role(self) -> None:
        """One of two directories goes, the role with it."""
        self.directory.put(account(TESS, "tess", MANAGERS, TRADERS))
        change = changes.detach(self.directory, MAX, TESS, MANAGERS)
        self.assertEqual(applied(self.directory, change).roles(TESS), {"trader"})

    def test_detaching_needs_move_on_the_directory(self) -> None:
        """A trader cannot detach anybody."""
        self.directory.put(account(TESS, "tess", MANAGERS, TRADERS))
        self.assertRaises(Forbidden, changes.detach, self.directory, TESS, TESS, MANAGERS)

    def test_the_last_administrator_stays(self) -> None:
        """Neither detaching nor disabling can leave nobody in charge."""
        self.directory.put(account(ADA, "ada", ADMINISTRATORS, TRADERS))
        self.directory.put(evolve(self.directory.entry(ROOT), grants=(held(UID, Right.MOVE | Right.ADMINISTRATE),)))
        self.assertRaises(Conflict, changes.detach, self.directory, UID, ADA, ADMINISTRATORS)
        self.assertRaises(Conflict, changes.set_disabled, self.directory, UID, ADA, True)

    def test_well_known_directories_keep_name_and_place(self) -> None:
        """Roles hang on them."""
        for entry_id in (ADMINISTRATORS, GROUPS, MANAGERS, ACCOUNTS, ROOT):
            self.assertRaises(Conflict, changes.rename, self.directory, ADA, entry_id, "other")
        self.assertRaises(Conflict, changes.remove, self.directory, ADA, SERVICES)

    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.integers(2, 7), st.integers(1, 7)), max_size=25))
    def test_no_order_of_associations_makes_a_cycle(self, pairs: list[tuple[int, int]]) -> None:
        """Whatever is refused, no entry ever stands above itself."""
        directory = demo()
        for entry_id, parent_id in pairs:
            try:
                change = changes.associate(directory, ADA, entry_id, parent_id)
            except Conflict:
                continue
            applied(directory, change)
        above = {entry.entry_id: directory.ancestry(entry.entry_id) - {entry.entry_id} for entry in directory}
        self.assertEqual([one for one in above if any(one in above[other] for other in above[one])], [])


class RenamingTests(SynchronousTestCase):
    """Names change under the same rules."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_an_account_is_renamed(self) -> None:
        """The administrator corrects a name."""
        change = changes.rename(self.directory, ADA, TESS, "tessa")
        self.assertEqual(change.put[0].name, "tessa")

    def test_a_name_that_is_taken_is_refused(self) -> None:
        """Neither another account's name nor a sibling's."""
        self.assertRaises(Conflict, changes.rename, self.directory, ADA, TESS, "max")
        self.directory.put(place(NEW, "desk", TRADERS))
        self.assertRaises(Conflict, changes.rename, self.directory, ADA, NEW, "tess")

    def test_changing_only_the_case_is_allowed(self) -> None:
        """Its own name is not taken by another."""
        self.assertEqual(changes.rename(self.directory, ADA, TESS, "Tess").put[0].name, "Tess")

    def test_renaming_needs_administrate(self) -> None:
        """A manager cannot rename his traders."""
        self.assertRaises(Forbidden, changes.rename, self.directory, MAX, TESS, "tessa")


class RemovingTests(SynchronousTestCase):
    """Only empty directories go."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_an_empty_directory_is_removed(self) -> None:
        """Nothing hangs on it."""
        self.directory.put(place(NEW, "desk", DEMO))
        self.assertEqual(changes.remove(self.directory, ADA, NEW), Change(removed=(NEW,)))

    def test_a_directory_that_holds_something_stays(self) -> None:
        """There is no recursive removal."""
        self.assertRaises(Conflict, changes.remove, self.directory, ADA, DEMO)

    def test_accounts_and_trading_accounts_stay(self) -> None:
        """Records name them for ever."""
        for entry_id in (TESS, BOOK):
            self.assertRaises(Conflict, changes.remove, self.directory, ADA, entry_id)


class GrantingTests(SynchronousTestCase):
    """Rights and capabilities are given by those who may."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_a_grant_replaces_the_former_one(self) -> None:
        """The new rights are all that is held."""
        change = changes.grant(self.directory, ADA, TESS, BOOK, Right.VIEW)
        self.assertFalse(applied(self.directory, change).holds(TESS, Right.TRADE, BOOK))
        self.assertTrue(self.directory.holds(TESS, Right.VIEW, BOOK))

    def test_no_rights_erase_the_grant(self) -> None:
        """Nothing is left of it."""
        self.assertEqual(changes.grant(self.directory, ADA, TESS, BOOK, Right.NONE).put[0].grants, ())

    def test_granting_needs_administrate_on_both(self) -> None:
        """Whoever administers the entry alone cannot give it to a foreign account."""
        self.directory.put(evolve(self.directory.entry(BOOK), grants=(held(MAX, Right.ADMINISTRATE),)))
        self.assertRaises(Forbidden, changes.grant, self.directory, MAX, TESS, BOOK, Right.TRADE)
        self.assertRaises(Forbidden, changes.grant, self.directory, MAX, MAX, BOOK, Right.TRADE)

    def test_only_accounts_are_given_rights(self) -> None:
        """A grant to a directory would mislead."""
        self.assertRaises(NotFound, changes.grant, self.directory, ADA, TRADERS, BOOK, Right.TRADE)

    def test_unknown_rights_are_invalid(self) -> None:
        """A bit that has no name is refused."""
        self.assertRaises(Invalid, changes.grant, self.directory, ADA, TESS, BOOK, Right(64))

    def test_somebody_keeps_administrate_on_the_root(self) -> None:
        """The last grant that can give rights stays."""
        self.assertRaises(Conflict, changes.grant, self.directory, ADA, ADA, ROOT, Right.READ)

    def test_capabilities_are_set_by_administrators_only(self) -> None:
        """ADMINISTRATE on the account is not enough without the role."""
        self.directory.put(evolve(self.directory.entry(UID), grants=(held(MAX, Right.ADMINISTRATE),)))
        self.assertRaises(Forbidden, changes.set_capabilities, self.directory, MAX, UID, ["market_data.all"])
        change = changes.set_capabilities(self.directory, ADA, UID, ["b", "a", "b"])
        self.assertEqual(change.put[0].capabilities, ("a", "b"))

    def test_an_entry_carries_a_thousand_grants_at_most(self) -> None:
        """It has to fit a message; replacing one of them is possible."""
        grants = tuple(held(1_000 + number, Right.VIEW) for number in range(1_000))
        self.directory.put(evolve(self.directory.entry(BOOK), grants=grants))
        self.assertRaises(Conflict, changes.grant, self.directory, ADA, TESS, BOOK, Right.VIEW)
        self.directory.put(account(1_000, "first", TRADERS))
        self.assertFalse(changes.grant(self.directory, ADA, 1_000, BOOK, Right.TRADE).is_empty)

    def test_an_account_has_a_hundred_capabilities_at_most(self) -> None:
        """More is INVALID."""
        many = [f"c{number}" for number in range(101)]
        self.assertRaises(Invalid, changes.set_capabilities, self.directory, ADA, UID, many)

    def test_capabilities_have_plain_names(self) -> None:
        """A blank or an empty name is INVALID."""
        for name in ("", "a b", "ü", "x" * 101):
            self.assertRaises(Invalid, changes.set_capabilities, self.directory, ADA, UID, [name])


class DisablingTests(SynchronousTestCase):
    """Accounts and trading accounts are disabled and enabled."""

    def setUp(self) -> None:
        self.directory = demo()

    def test_an_account_is_disabled_and_enabled(self) -> None:
        """Both ways, and the same again is no change."""
        change = changes.set_disabled(self.directory, ADA, TESS, True)
        self.assertTrue(applied(self.directory, change).entry(TESS).disabled)
        self.assertTrue(changes.set_disabled(self.directory, ADA, TESS, True).is_empty)
        self.assertFalse(changes.set_disabled(self.directory, ADA, TESS, False).put[0].disabled)

    def test_nobody_disables_himself(self) -> None:
        """A slip does not lock its author out."""
        self.directory.put(account(NEW, "bea", ADMINISTRATORS))
        self.assertRaises(Conflict, changes.set_disabled, self.directory, ADA, ADA, True)

    def test_a_directory_is_not_disabled(self) -> None:
        """It has nothing to disable."""
        self.assertRaises(Invalid, changes.set_disabled, self.directory, ADA, DEMO, True)

    def test_changing_anothers_password_needs_administrate(self) -> None:
        """One's own needs the old one, another's the right."""
        self.assertTrue(changes.check_password_change(self.directory, TESS, TESS))
        self.assertFalse(changes.check_password_change(self.directory, ADA, TESS))
        self.assertRaises(Forbidden, changes.check_password_change, self.directory, MAX, TESS)

    def test_terms_are_written_by_administrators_of_the_trading_account(self) -> None:
        """Terms belong to trading accounts alone."""
        terms = evolve(TERMS, short_marking_exempt=True)
        self.assertEqual(changes.set_terms(self.directory, ADA, BOOK, terms).put[0].terms, terms)
        self.assertRaises(Invalid, changes.set_terms, self.directory, ADA, TESS, terms)
        self.assertRaises(Forbidden, changes.set_terms, self.directory, MAX, BOOK, terms)
