"""The test run counts what trial says, and never takes a run without an end for a good one."""

from pathlib import Path
from runpy import run_path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

CHECKS: dict[str, Any] = run_path(str(Path(__file__).resolve().parent.parent / ".ci" / "checks.py"))
Counts = CHECKS["Counts"]
counted = CHECKS["counted"]


class CountedTests(SynchronousTestCase):
    """The last summary of trial's output is what counts."""

    def test_a_passed_run(self) -> None:
        """Skips are counted apart."""
        output = "Ran 12 tests in 1.000s\n\nPASSED (skips=2, successes=10)\n"
        self.assertEqual(counted(0, output), Counts(passed=10, skipped=2))

    def test_a_failed_run(self) -> None:
        """Errors and failures are failures; so is a success that was not expected."""
        output = "FAILED (failures=1, errors=2, unexpectedSuccesses=1, successes=5)\n"
        self.assertEqual(counted(1, output), Counts(passed=5, failed=4))

    def test_a_run_that_crashed_has_failed(self) -> None:
        """There is no summary."""
        self.assertEqual(counted(-9, "Running 12 tests.\n"), Counts(failed=1))

    def test_a_status_without_a_failure_is_a_failure(self) -> None:
        """Something went wrong after the summary."""
        self.assertEqual(counted(1, "PASSED (successes=3)\n"), Counts(passed=3, failed=1))

    def test_a_run_without_a_test_has_failed(self) -> None:
        """It proves nothing."""
        self.assertEqual(counted(0, "Ran 0 tests in 0.000s\n\nPASSED\n"), Counts(failed=1))

    def test_what_python_can_only_print_is_found(self) -> None:
        """Nobody could catch it."""
        output = "sys:1: RuntimeWarning: coroutine 'load' was never awaited\n"
        self.assertTrue(CHECKS["UNCAUGHT"].search(output))

    def test_the_system_tests_are_not_among_the_unit_tests(self) -> None:
        """They run by themselves; every other package does."""
        tests = CHECKS["unit_tests"]()
        self.assertNotIn("tests.system", tests)
        self.assertIn("tests.service", tests)
        self.assertIn("tests.test_checks", tests)

    def test_the_last_line_is_the_count(self) -> None:
        """In the words that others read."""
        self.assertEqual(str(Counts(passed=3, failed=1, skipped=2)), "3 passed, 1 failed, 2 skipped")
