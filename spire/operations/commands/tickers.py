"""Tickers as people type them."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from spire.client.platform import Spire
from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument
from spire.values.tickers import parse_ticker
from spire.wire.errors import NotFound, Unavailable

MOST_SUGGESTIONS: Final = 3
DEFINITIONS_SECONDS: Final = 3.0


async def tickers_of(spire: Spire) -> Callable[[int], str]:
    """Return what answers the ticker of an instrument's number: the number itself while Definitions is away."""
    try:
        definitions = await spire.definitions_ready(DEFINITIONS_SECONDS)
    except Unavailable:
        return str

    def ticker(instrument_id: int) -> str:
        try:
            return str(definitions.instruments.by_id(instrument_id).ticker)
        except NotFound:
            return str(instrument_id)

    return ticker


def find_instrument(definitions: DefinitionsClient, text: str) -> Instrument:
    """Return the instrument of a ticker; small letters will do where the ticker has none.

    Raises Invalid for what is no ticker, and NotFound, which names those that are spelled nearly so.
    """
    symbol, dot, venue = text.rpartition(".")
    ticker = f"{symbol}{dot}{venue.upper()}"
    try:
        return definitions.instruments.by_ticker(ticker)
    except NotFound as error:
        known = {str(instrument.ticker): instrument for instrument in definitions.instruments.all()}
        if ticker.upper() in known:
            return known[ticker.upper()]
        wanted = parse_ticker(ticker)
        near = get_close_matches(
            wanted.symbol.upper(),
            [name.rpartition(".")[0] for name in known if name.endswith(f".{wanted.venue}")],
            MOST_SUGGESTIONS,
        )
        if near:
            error.details["similar"] = ", ".join(f"{name}.{wanted.venue}" for name in near)
        raise
