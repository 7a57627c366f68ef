"""The Definitions Server's commands."""

from spire.definitions.instruments import Instrument, InstrumentDraft
from spire.wire.arguments import Bytes, Integer, Text, Typed
from spire.wire.commands import Command


class LoadDataset(Command):
    """Read a dataset in pages, ordered by key.

    `dataset` is the name of its state topic; `after` is the key of the last row of the page before, absent at first.
    `rows` is a msgpack array of the topic's rows; `last` is absent with the last page. `version` is the topic's dataset
    version: read again from the start when it changes between pages. Raises NOT_FOUND for an unknown dataset, INVALID
    for a key that is none.
    """

    arguments = [(b"dataset", Text(longest=64)), (b"after", Text(longest=200, optional=True))]
    response = [
        (b"version", Integer(minimum=0)),
        (b"rows", Bytes()),
        (b"last", Text(longest=200, optional=True)),
    ]


class FindInstruments(Command):
    """Find instruments whose ticker or name holds `text`, whatever the case, by id, above id `after`.

    `next_after` is where the next page begins, absent with the last one; a page has at most 100.
    """

    arguments = [
        (b"text", Text(longest=200)),
        (b"after", Integer(minimum=0)),
        (b"limit", Integer(minimum=1, maximum=100)),
    ]
    response = [
        (b"instruments", Typed(tuple[Instrument, ...])),
        (b"next_after", Integer(minimum=0, optional=True)),
    ]


class AddInstrument(Command):
    """Add an instrument to the master; the answer has its id. Administrators only.

    Adding the same again answers what is there. Raises FORBIDDEN, CONFLICT where the ticker belongs to another
    instrument, INVALID where the draft names an unknown venue, currency or tick table, UNAVAILABLE while MySQL is away.
    """

    arguments = [(b"draft", Typed(InstrumentDraft))]
    response = [(b"instrument", Typed(Instrument))]
