"""Groups, people and moves: several changes at once, by the rules of each."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.directory import Directory
from spire.locator.people import Move, NewPerson, make_group, make_person, move_account
from spire.locator.values import ROOT_ID, AccountKind, Change, EntryRights, Kind, Right
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound
from tests.locator.places import (
    ACCOUNTS,
    ADA,
    ADMINISTRATORS,
    BOOK,
    DEMO,
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
)

KIM = NewPerson(name="kim", parents=(TRADERS,), accounts_id=ACCOUNTS, terms=TERMS)
MANAGES = int(Right.READ | Right.VIEW | Right.MANAGE)


class PeopleTestCase(SynchronousTestCase):
    """The demo directory, in which nothing is done."""

    def setUp(self) -> None:
        self.directory = demo()
        self.before = list(self.directory)

    def tearDown(self) -> None:
        self.assertEqual(list(self.directory), self.before)

    def after(self, change: Change) -> Directory:
        """Return the directory as a change makes it."""
        directory = Directory(self.directory)
        for entry in change.put:
            directory.put(entry)
        return directory


class GroupTests(PeopleTestCase):
    """A trading group comes with its directories."""

    def test_a_group_is_made_whole(self) -> None:
        """Its directories give the roles, and hold trading accounts."""
        after = self.after(make_group(self.directory, ADA, NEW, "desk"))
        found = [after.find(f"trading_groups/desk/{name}") for name in ("managers", "traders", "accounts")]
        self.assertEqual([entry and entry.entry_id for entry in found], [NEW + 1, NEW + 2, NEW + 3])
        self.assertEqual(after.roles_given_by(NEW + 1), {"manager"})

    def test_a_taken_name_makes_nothing(self) -> None:
        """There is a group demo."""
        self.assertRaises(Conflict, make_group, self.directory, ADA, NEW, "demo")

    def test_a_group_needs_a_good_name_and_the_right(self) -> None:
        """As any directory."""
        self.assertRaises(Invalid, make_group, self.directory, ADA, NEW, "a/b")
        self.assertRaises(Forbidden, make_group, self.directory, MAX, NEW, "desk")

    def test_without_the_place_of_groups_there_are_none(self) -> None:
        """The set-up has not run."""
        self.assertRaises(NotFound, make_group, Directory(), ADA, NEW, "desk")


class PersonTests(PeopleTestCase):
    """A person comes with rights and trading account."""

    def test_a_trader_is_made_whole(self) -> None:
        """The account first; it trades the trading account of its name."""
        change = make_person(self.directory, ADA, NEW, KIM)
        after = self.after(change)
        self.assertEqual([entry.kind for entry in change.put], [Kind.ACCOUNT, Kind.TRADING_ACCOUNT])
        self.assertEqual((after.roles(NEW), after.entry(NEW + 1).terms), ({"trader"}, TERMS))
        self.assertTrue(after.holds(NEW, Right.VIEW | Right.TRADE, NEW + 1))

    def test_a_manager_holds_his_rights_at_once(self) -> None:
        """On the group that is named."""
        person = NewPerson(
            name="kim", parents=(MANAGERS, TRADERS), grants=(EntryRights(entry_id=DEMO, rights=MANAGES),)
        )
        after = self.after(make_person(self.directory, ADA, NEW, person))
        self.assertEqual(after.roles(NEW), {"manager", "trader"})
        self.assertTrue(after.holds(NEW, Right.MANAGE, BOOK))

    def test_a_taken_trading_account_refuses_the_person_too(self) -> None:
        """Nothing half done."""
        other = evolve(self.directory.entry(BOOK), name="kim")
        self.directory.put(other)
        self.before = list(self.directory)
        self.assertRaises(Conflict, make_person, self.directory, ADA, NEW, KIM)

    def test_a_place_of_services_refuses_people(self) -> None:
        """Kinds are not mixed up."""
        self.assertRaises(Conflict, make_person, self.directory, ADA, NEW, evolve(KIM, parents=(TRADERS, SERVICES)))

    def test_what_makes_no_sense_is_invalid(self) -> None:
        """No directory, half a trading account, too much at once."""
        for person in (
            evolve(KIM, parents=()),
            evolve(KIM, terms=None),
            evolve(KIM, parents=(TRADERS,) * 51),
        ):
            self.assertRaises(Invalid, make_person, self.directory, ADA, NEW, person)

    def test_rights_that_are_not_ones_own_to_give_refuse_all(self) -> None:
        """A manager without ADMINISTRATE makes nobody."""
        self.assertRaises(Forbidden, make_person, self.directory, MAX, NEW, KIM)


class MoveTests(PeopleTestCase):
    """An account changes directories and rights at once."""

    def test_a_trader_becomes_manager(self) -> None:
        """He leaves one directory, enters another, and gains the right."""
        rights = (EntryRights(entry_id=DEMO, rights=MANAGES),)
        move = Move(account_id=TESS, add=(MANAGERS,), remove=(TRADERS,), grants=rights)
        after = self.after(move_account(self.directory, ADA, move))
        self.assertEqual((after.roles(TESS), after.entry(TESS).parents), ({"manager"}, (MANAGERS,)))
        self.assertTrue(after.holds(TESS, Right.MANAGE, BOOK))

    def test_rights_of_nothing_take_away(self) -> None:
        """The manager is one no more."""
        none = (EntryRights(entry_id=DEMO, rights=0),)
        move = Move(account_id=MAX, add=(TRADERS,), remove=(MANAGERS,), grants=none)
        after = self.after(move_account(self.directory, ADA, move))
        self.assertFalse(after.holds(MAX, Right.MANAGE, BOOK))

    def test_rights_to_keep_are_kept(self) -> None:
        """Of those that he holds when he moves: what is not held is not given."""
        keeping = EntryRights(entry_id=BOOK, rights=int(Right.MANAGE), kept=int(Right.READ | Right.VIEW))
        after = self.after(move_account(self.directory, ADA, Move(account_id=TESS, grants=(keeping,))))
        self.assertEqual(after.granted(TESS, BOOK), Right.VIEW | Right.MANAGE)

    def test_the_last_administrator_stays(self) -> None:
        """Whatever else he would become."""
        move = Move(account_id=ADA, add=(TRADERS,), remove=(ADMINISTRATORS,))
        self.assertRaises(Conflict, move_account, self.directory, ADA, move)

    def test_nobody_stands_nowhere(self) -> None:
        """The last directory is not left."""
        self.assertRaises(Conflict, move_account, self.directory, ADA, Move(account_id=TESS, remove=(TRADERS,)))

    def test_a_directory_in_which_he_does_not_stand_is_not_left(self) -> None:
        """Whoever asks sees something else than there is."""
        move = Move(account_id=TESS, remove=(MANAGERS,))
        self.assertRaises(Conflict, move_account, self.directory, ADA, move)

    def test_entering_and_leaving_at_once_is_invalid(self) -> None:
        """One of both is meant."""
        move = Move(account_id=TESS, add=(MANAGERS,), remove=(MANAGERS,))
        self.assertRaises(Invalid, move_account, self.directory, ADA, move)

    def test_a_service_does_not_become_a_person(self) -> None:
        """It enters no directory of people."""
        self.assertRaises(Conflict, move_account, self.directory, ADA, Move(account_id=UID, add=(TRADERS,)))

    def test_what_is_no_account_does_not_move(self) -> None:
        """A trading account is none, nor is what is not there."""
        for number in (BOOK, NEW):
            self.assertRaises(NotFound, move_account, self.directory, ADA, Move(account_id=number, add=(MANAGERS,)))

    def test_a_change_that_is_so_already_is_empty_of_meaning(self) -> None:
        """Entering where he stands changes no entry."""
        self.assertTrue(move_account(self.directory, ADA, Move(account_id=TESS, add=(TRADERS,))).is_empty)

    def test_without_the_rights_nothing_moves(self) -> None:
        """A manager without ADMINISTRATE moves nobody."""
        move = Move(account_id=TESS, add=(MANAGERS,))
        self.assertRaises(Forbidden, move_account, self.directory, MAX, move)

    def test_the_kind_of_an_account_is_kept(self) -> None:
        """A move touches places and rights only."""
        after = self.after(move_account(self.directory, ADA, Move(account_id=TESS, add=(MANAGERS,))))
        self.assertEqual(after.entry(TESS), account(TESS, "tess", MANAGERS, TRADERS, kind=AccountKind.PERSON))
        self.assertEqual(after.entry(ROOT).grants[0], held(ADA, Right(63)))
        self.assertEqual(ROOT, ROOT_ID)
