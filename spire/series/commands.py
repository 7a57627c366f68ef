"""The commands of history: a load, whose chunks are pushed as segments of a stream that the client numbers."""

from spire.series.query import Query
from spire.wire.arguments import Integer, Typed
from spire.wire.commands import Command
from spire.wire.stream_commands import FIRST_LOAD

_NUMBER = Integer(minimum=FIRST_LOAD, maximum=2 * FIRST_LOAD - 1)


class Load(Command):
    """Load the records that `query` asks for; `number` names the stream of their chunks.

    The answer says where the topic stands. The chunks follow it, the last one flagged END; an error on the way ends
    the stream with its code (StreamEnded).
    """

    arguments = [(b"number", _NUMBER), (b"query", Typed(Query))]
    response = [(b"epoch", Integer()), (b"through", Integer(minimum=0))]


class CancelLoad(Command):
    """Send no more chunks of the load `number`; an unknown one is ignored."""

    arguments = [(b"number", _NUMBER)]
    response = []
