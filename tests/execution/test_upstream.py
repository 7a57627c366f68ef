"""What was taken of a quote is followed to the present, however many quotes have come since."""

from typing import Final, cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.execution.matching import Quote
from spire.execution.upstream import Followed, QuoteListener, Shown, quote_of
from spire.execution.values import TakenSize
from spire.marketdata.values import BBO, Present, Records
from spire.testing.clock import ManualClock
from spire.values.amounts import Quantity
from spire.values.orders import Side
from tests.execution.examples import BAC, instrument

SIDE: Final = st.none() | st.tuples(st.integers(1, 2), st.integers(0, 2))
QUOTES: Final = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=12)


def records_of(quotes: list[tuple[tuple[int, int] | None, tuple[int, int] | None]]) -> Records:
    """Return quotes of (price, size) a side, numbered from 1."""
    records = np.zeros(len(quotes), BBO)
    records["sequence"] = np.arange(1, len(quotes) + 1)
    for place, sides in enumerate(quotes):
        for name, bit, side in zip(("bid", "ask"), (Present.BID, Present.ASK), sides, strict=True):
            if side is not None:
                records["present"][place] |= bit
                records[name][place], records[f"{name}_size"][place] = side
    return records


def look(quote: Quote, side: Side) -> tuple[object, object]:
    """Return what a taker on a side sees."""
    return (quote.ask, quote.ask_size) if side is Side.BUY else (quote.bid, quote.bid_size)


class Heard:
    """Keeps what the driver is told when the present is reached."""

    taken: dict[Side, Quantity]

    def caught_up(self, _instrument: object, _quote: Quote | None, taken: dict[Side, Quantity]) -> None:
        """Keep what was taken."""
        self.taken = dict(taken)


class FollowedTests(SynchronousTestCase):
    """Quotes of the past, in chunks, against the rule said one quote at a time."""

    @settings(max_examples=200)
    @given(quotes=QUOTES, cut=st.integers(0, 12), bought=st.integers(1, 14), sold=st.integers(1, 14))
    def test_what_was_taken_is_known_until_its_side_changes(
        self,
        quotes: list[tuple[tuple[int, int] | None, tuple[int, int] | None]],
        cut: int,
        bought: int,
        sold: int,
    ) -> None:
        """A change of price or displayed size since the fill makes all of a side untaken; the other side counts for nothing."""
        records = records_of(quotes)
        heard = Heard()
        followed = Followed(instrument(), ManualClock(), cast("QuoteListener", heard))
        fills = {Side.BUY: bought, Side.SELL: sold}
        followed.begin(
            records[:0],
            tuple(
                TakenSize(instrument_id=BAC, side=side, quote_sequence=place, taken=Quantity(7))
                for side, place in fills.items()
            ),
        )
        for chunk in (records[:cut], records[cut:]):
            if len(chunk):
                followed.update(chunk)
        followed.ready()
        all_quotes = [quote_of(record) for record in records]
        expected = {
            side: 7
            for side, place in fills.items()
            if place <= len(quotes) and len({look(quote, side) for quote in all_quotes[place - 1 :]}) == 1
        }
        self.assertEqual(heard.taken, expected)
        self.assertEqual(followed.quote, all_quotes[-1])

    @settings(max_examples=100)
    @given(quotes=QUOTES)
    def test_a_change_on_the_way_is_seen(
        self, quotes: list[tuple[tuple[int, int] | None, tuple[int, int] | None]]
    ) -> None:
        """Also where the side looks as before in the end."""
        before, *after = [quote_of(record) for record in records_of([*quotes[:1], *quotes])]
        expected = tuple(
            any(look(quote, side) != look(before, side) for quote in after) for side in (Side.SELL, Side.BUY)
        )
        self.assertEqual(Shown(records_of(quotes)).changed(before), expected)
        self.assertEqual(Shown(records_of(quotes)).changed(None), (True, True))
