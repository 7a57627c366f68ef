"""Tests of the vectorised CSV reader."""

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.columns import Columns, MalformedTextError

NUMBERS = st.lists(st.integers(0, 10**15), min_size=1, max_size=20)
DECIMALS = st.lists(st.decimals(0, 10**8, places=3), min_size=1, max_size=20)


class ColumnsTests(SynchronousTestCase):
    """A column reads like `int` and `Decimal` would read each cell."""

    @settings(max_examples=50)
    @given(NUMBERS)
    def test_integers_read_as_python_reads_them(self, numbers: list[int]) -> None:
        """Every whole number comes back."""
        text = "".join(f"x,{number}\n" for number in numbers).encode()
        self.assertEqual(Columns(text, 2).integers(1).tolist(), numbers)

    @settings(max_examples=50)
    @given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
    def test_hexadecimals_hold_64_bits(self, numbers: list[int]) -> None:
        """Condition bits come back whole, in either case of the letters."""
        text = "".join(f"{number:x},{number:X}\n" for number in numbers).encode()
        columns = Columns(text, 2)
        self.assertEqual(columns.hexadecimal(0).tolist(), numbers)
        self.assertEqual(columns.hexadecimal(1).tolist(), numbers)

    @settings(max_examples=50)
    @given(DECIMALS)
    def test_decimals_are_scaled(self, numbers: list[Decimal]) -> None:
        """A fraction of fewer digits than the scale counts in full."""
        text = "".join(f"{number:f},1\n" for number in numbers).encode()
        self.assertEqual(Columns(text, 2).decimals(0, 6).tolist(), [int(number * 10**6) for number in numbers])

    def test_windows_line_ends_and_a_missing_last_line_end_are_fine(self) -> None:
        """The last cell loses its carriage return."""
        columns = Columns(b"1,2\r\n3,4", 2)
        self.assertEqual(columns.integers(1).tolist(), [2, 4])

    def test_an_empty_text_has_no_rows(self) -> None:
        """Nothing is a valid file."""
        columns = Columns(b"", 3)
        self.assertEqual(len(columns), 0)
        self.assertEqual(columns.integers(2).dtype, np.int64)

    def test_a_line_of_another_width_is_named(self) -> None:
        """The message says which line."""
        error = self.assertRaises(MalformedTextError, Columns, b"1,2\n1,2,3\n1,2\n", 2)
        self.assertIn("line 2", str(error))

    def test_two_wrong_lines_that_add_up_are_still_refused(self) -> None:
        """A short line and a long one do not hide each other."""
        error = self.assertRaises(MalformedTextError, Columns, b"1,2\n1\n1,2,3\n", 2)
        self.assertIn("line 2", str(error))

    def test_a_letter_in_a_number_is_named(self) -> None:
        """The message says line and column."""
        error = self.assertRaises(MalformedTextError, Columns(b"1,2\n1,x\n", 2).integers, 1)
        self.assertIn("line 2, column 2", str(error))

    def test_an_empty_cell_is_refused(self) -> None:
        """Absent is not zero."""
        error = self.assertRaises(MalformedTextError, Columns(b"1,\n", 2).integers, 1)
        self.assertIn("line 1, column 2", str(error))

    def test_digits_beyond_the_scale_are_refused(self) -> None:
        """Nothing is rounded silently."""
        error = self.assertRaises(MalformedTextError, Columns(b"1.5\n1.2345\n", 1).decimals, 0, 3)
        self.assertIn("line 2", str(error))

    def test_a_cell_of_two_letters_is_no_letter(self) -> None:
        """Exchange codes have one character."""
        error = self.assertRaises(MalformedTextError, Columns(b"P\nPQ\n", 1).letters, 0)
        self.assertIn("line 2", str(error))
