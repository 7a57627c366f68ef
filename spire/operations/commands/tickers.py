"""Tickers as people type them."""

from difflib import get_close_matches

from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument
from spire.values.tickers import parse_ticker
from spire.wire.errors import NotFound

MOST_SUGGESTIONS = 3


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
