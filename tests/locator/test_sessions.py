"""Login sessions in memory."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.locator.sessions import IDLE_SECONDS, REVOCATION_SECONDS, LoginSessions
from spire.locator.values import LoginSession
from spire.values.time import NANOSECONDS, Timestamp

START = Timestamp(1_000 * NANOSECONDS)
SESSION = LoginSession(
    login_session="s1",
    account_id=20,
    public_key=b"k" * 32,
    audiences=("*",),
    opened=START,
    last_used=START,
    peer="10.0.0.7",
)


def after(seconds: float) -> Timestamp:
    """Return a time after the start."""
    return Timestamp(START + int(seconds * NANOSECONDS))


class LoginSessionsTests(SynchronousTestCase):
    """A session lives while it is used and until somebody ends it."""

    def setUp(self) -> None:
        self.sessions = LoginSessions()
        self.sessions.add(SESSION)

    def test_an_open_session_is_found(self) -> None:
        """By its id, and no other."""
        self.assertEqual(self.sessions.get("s1", START), SESSION)
        self.assertIsNone(self.sessions.get("s2", START))

    def test_an_idle_session_is_not_found(self) -> None:
        """Twelve hours without renewal end it."""
        self.assertIsNotNone(self.sessions.get("s1", after(IDLE_SECONDS - 1)))
        self.assertIsNone(self.sessions.get("s1", after(IDLE_SECONDS)))

    def test_use_keeps_it_open(self) -> None:
        """Each renewal begins the twelve hours anew."""
        self.sessions.touch("s1", after(3600))
        self.assertIsNotNone(self.sessions.get("s1", after(IDLE_SECONDS + 3599)))

    def test_use_is_told_once_to_the_store_and_again_if_that_failed(self) -> None:
        """What the store could not take is kept."""
        self.sessions.touch("s1", after(60))
        taken = self.sessions.take_touched()
        self.assertEqual((taken, self.sessions.take_touched()), ({"s1": after(60)}, {}))
        self.sessions.put_back(taken)
        self.assertEqual(self.sessions.take_touched(), {"s1": after(60)})

    def test_ending_revokes(self) -> None:
        """The revocation names session, account, time and reason, once."""
        revocation = self.sessions.end("s1", after(5), "logged out")
        assert revocation is not None
        self.assertEqual((revocation.account_id, revocation.ended, revocation.reason), (20, after(5), "logged out"))
        self.assertIsNone(self.sessions.end("s1", after(6), "again"))
        self.assertTrue(self.sessions.is_ended("s1"))
        self.assertIsNone(self.sessions.get("s1", after(6)))

    def test_idle_sessions_are_revoked_and_old_revocations_dropped(self) -> None:
        """Housekeeping does both."""
        ended, dropped = self.sessions.expire(after(IDLE_SECONDS))
        self.assertEqual(([revocation.login_session for revocation in ended], dropped), (["s1"], []))
        ended, dropped = self.sessions.expire(after(IDLE_SECONDS + REVOCATION_SECONDS))
        self.assertEqual((ended, dropped, self.sessions.revocations), ([], ["s1"], {}))

    def test_the_sessions_of_an_account_include_those_it_opened_for_others(self) -> None:
        """A disabled portal takes the sessions with it that it opened for its users."""
        self.sessions.add(evolve(SESSION, login_session="s2", account_id=21, delegate_id=20))
        self.assertEqual(sorted(s.login_session for s in self.sessions.of_account(20)), ["s1", "s2"])
        self.assertEqual([s.login_session for s in self.sessions.of_account(21)], ["s2"])

    def test_a_session_that_another_locator_ended_is_revoked_here(self) -> None:
        """Seen in the store, it becomes a revocation, once."""
        ended = evolve(SESSION, ended=after(9), end_reason="disabled")
        revocation = self.sessions.add(ended)
        assert revocation is not None
        self.assertEqual(revocation.reason, "disabled")
        self.assertIsNone(self.sessions.add(ended))
        self.assertIsNone(self.sessions.get("s1", after(9)))

    def test_an_end_that_is_learned_of_late_counts_from_then_on(self) -> None:
        """The session was renewed here until this moment: its last ticket must not outlive the revocation."""
        ended = evolve(SESSION, ended=after(9), end_reason="logged out")
        late = after(9 + REVOCATION_SECONDS)
        revocation = self.sessions.take_end(ended, late)
        assert revocation is not None
        self.assertEqual((revocation.ended, revocation.reason), (late, "logged out"))
        self.assertIsNone(self.sessions.take_end(ended, late))
        self.assertEqual(self.sessions.expire(late), ([], []))

    def test_an_ended_session_does_not_come_back(self) -> None:
        """A stale copy from the store changes nothing."""
        self.sessions.end("s1", after(5), "logged out")
        self.sessions.add(SESSION)
        self.assertIsNone(self.sessions.get("s1", after(5)))

    def test_a_renewal_at_another_locator_counts(self) -> None:
        """What seems idle here is not, once the store has told when it was used last; an older time changes nothing."""
        self.assertEqual(self.sessions.idle(after(IDLE_SECONDS)), ["s1"])
        for seconds in (IDLE_SECONDS - 5, 5):
            self.sessions.add(evolve(SESSION, last_used=after(seconds)))
        self.assertEqual(self.sessions.idle(after(IDLE_SECONDS)), [])
