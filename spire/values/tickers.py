"""Tickers: a symbol at its listing venue, an alias of an instrument (docs/values.md)."""

import re

from attrs import field, frozen

from spire.values.codes import Venue, parse_venue

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9./+=^_-]{0,30}", re.ASCII)


def _symbol(_instance: object, _attribute: object, value: str) -> None:
    if not _SYMBOL.fullmatch(value):
        raise ValueError(
            f"{value!r} is no symbol: write 1 to 31 letters, digits or . / + = ^ _ - after a letter or digit"
        )


def _venue(_instance: object, _attribute: object, value: Venue) -> None:
    parse_venue(value)


@frozen(order=True)
class Ticker:
    """A symbol and the venue that lists it; ValueError when either is malformed."""

    symbol: str = field(validator=_symbol)
    venue: Venue = field(validator=_venue)

    def __str__(self) -> str:
        """Return the ticker as SYMBOL.VENUE."""
        return f"{self.symbol}.{self.venue}"


def parse_ticker(text: str) -> Ticker:
    """Return the ticker that SYMBOL.VENUE names, split at the last dot; ValueError when malformed."""
    symbol, dot, code = text.rpartition(".") if isinstance(text, str) else ("", "", "")
    if not dot:
        raise ValueError(f"{text!r} is no ticker: write SYMBOL.VENUE, such as BAC.XNYS")
    return Ticker(symbol, parse_venue(code))
