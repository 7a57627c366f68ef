"""How the topics' records stand in bytes: the packed layouts, for server and client alike."""

from typing import Final

from spire.marketdata.values import LAYOUTS, RecordType
from spire.wire.records import Packed

CODECS: Final[dict[RecordType, Packed]] = {record_type: Packed(layout) for record_type, layout in LAYOUTS.items()}
