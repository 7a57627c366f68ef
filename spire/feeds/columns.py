"""Vectorised reading of simple CSV text into numpy columns (no quotes, no header, one separator)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_COMMA: Final = ord(",")
_NEWLINE: Final = ord("\n")
_RETURN: Final = ord("\r")
_ZERO: Final = ord("0")
_DOT: Final = ord(".")


class MalformedTextError(ValueError):
    """A file's text is not what its format says; the message names the line and the column, counted from 1."""


class Columns:
    """The cells of a CSV text as offsets, each column converted on demand.

    MalformedTextError: a line does not hold exactly `width` cells.
    """

    def __init__(self, text: bytes, width: int) -> None:
        if text and not text.endswith(b"\n"):
            text += b"\n"
        self._bytes = np.frombuffer(text, dtype=np.uint8)
        separators = np.flatnonzero((self._bytes == _COMMA) | (self._bytes == _NEWLINE))
        if separators.size % width or not self._regular(separators, width):
            raise MalformedTextError(f"line {self._irregular_line(separators, width)} does not hold {width} cells")
        ends = separators.reshape(-1, width)
        starts = np.empty_like(ends)
        starts.reshape(-1)[1:] = ends.reshape(-1)[:-1] + 1
        if starts.size:
            starts[0, 0] = 0
        if ends.size and _RETURN in self._bytes[ends[:, -1] - 1]:
            ends[:, -1] -= self._bytes[ends[:, -1] - 1] == _RETURN
        self._starts, self._ends = starts, ends

    def __len__(self) -> int:
        return len(self._ends)

    def _regular(self, separators: NDArray[np.intp], width: int) -> bool:
        newline = self._bytes[separators].reshape(-1, width) == _NEWLINE
        return bool(newline[:, -1].all() and not newline[:, :-1].any())

    def _irregular_line(self, separators: NDArray[np.intp], width: int) -> int:
        newlines = np.flatnonzero(self._bytes[separators] == _NEWLINE)
        cells = np.diff(newlines, prepend=-1)
        wrong = np.flatnonzero(cells != width)
        return int(wrong[0]) + 1 if wrong.size else len(newlines) + 1

    def _cells(self, column: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        starts, ends = self._starts[:, column], self._ends[:, column]
        blank = np.flatnonzero(ends <= starts)
        if blank.size:
            raise MalformedTextError(f"line {int(blank[0]) + 1}, column {column + 1} is empty")
        return starts, ends

    def _digits(self, starts: NDArray[np.intp], ends: NDArray[np.intp], column: int, base: int) -> NDArray[np.uint64]:
        width = int((ends - starts).max(initial=0))
        if width > (18 if base == 10 else 16):
            raise MalformedTextError(f"column {column + 1} holds a number of {width} digits")
        total = np.zeros(len(starts), dtype=np.uint64)
        for position in range(width):
            at = starts + position
            inside = at < ends
            digit = _VALUES[self._bytes[np.where(inside, at, 0)]]
            wrong = np.flatnonzero(inside & (digit >= base))
            if wrong.size:
                raise MalformedTextError(f"line {int(wrong[0]) + 1}, column {column + 1} is not a number")
            total = np.where(inside, total * np.uint64(base) + digit.astype(np.uint64), total)
        return total

    def integers(self, column: int) -> NDArray[np.int64]:
        """Return a column of unsigned decimal integers."""
        starts, ends = self._cells(column)
        return self._digits(starts, ends, column, 10).astype(np.int64)

    def hexadecimal(self, column: int) -> NDArray[np.uint64]:
        """Return a column of hexadecimal numbers of at most 64 bits."""
        starts, ends = self._cells(column)
        return self._digits(starts, ends, column, 16)

    def decimals(self, column: int, places: int) -> NDArray[np.int64]:
        """Return a column of unsigned decimals, scaled by 10**`places`; further digits are refused."""
        starts, ends = self._cells(column)
        dots = np.flatnonzero(self._bytes == _DOT)
        index = np.searchsorted(dots, starts)
        candidate = dots[np.minimum(index, len(dots) - 1)] if dots.size else ends
        point = np.where((index < len(dots)) & (candidate < ends), candidate, ends)
        whole = self._digits(starts, point, column, 10).astype(np.int64)
        fraction_starts = np.minimum(point + 1, ends)
        lengths = ends - fraction_starts
        if int(lengths.max(initial=0)) > places:
            line = int(np.flatnonzero(lengths > places)[0]) + 1
            raise MalformedTextError(f"line {line}, column {column + 1} has more than {places} decimal places")
        fraction = self._digits(fraction_starts, ends, column, 10).astype(np.int64)
        scale = 10 ** np.arange(places, -1, -1, dtype=np.int64)
        result: NDArray[np.int64] = whole * np.int64(10**places) + fraction * scale[lengths]
        return result

    def letters(self, column: int) -> NDArray[np.uint8]:
        """Return a column of single characters as their ASCII codes."""
        starts, ends = self._cells(column)
        wrong = np.flatnonzero(ends - starts != 1)
        if wrong.size:
            raise MalformedTextError(f"line {int(wrong[0]) + 1}, column {column + 1} is not one letter")
        return self._bytes[starts]


def _digit_values() -> NDArray[np.uint8]:
    values = np.full(256, 255, dtype=np.uint8)
    for digit in range(10):
        values[_ZERO + digit] = digit
    for offset in range(6):
        values[ord("a") + offset] = values[ord("A") + offset] = 10 + offset
    return values


_VALUES: Final = _digit_values()
