"""How candles stand in bytes, for server and client alike."""

from typing import Final

from spire.charting.values import CANDLE
from spire.wire.records import Packed

CODEC: Final = Packed(CANDLE)
