"""Connections that subscribe to the same topics: what one flush brings them is joined into boxes once for all."""

from collections.abc import Iterable
from typing import Final
from weakref import WeakValueDictionary

from spire.wire.outbound import OutboundStream, boxes_of
from spire.wire.segments import Segment

SHARED_FROM: Final = 8_192
"""Bytes from which a group's segments are worth boxes of their own; less shares a box with other groups' segments."""


class Group:
    """A set of connections, and the segments that the flush under way has for all of them."""

    def __init__(self, streams: frozenset[OutboundStream]) -> None:
        self.streams = streams
        self.segments: list[Segment] = []

    def share(self, size: int) -> None:
        """Give each connection the segments, of `size` bytes: as boxes made once where it is idle, else to its queue."""
        boxes = boxes_of(self.segments)
        for stream in self.streams:
            stream.offer_boxes(boxes, self.segments, size)

    def queue(self, size: int) -> None:
        """Put the segments, of `size` bytes, into each connection's queue."""
        for stream in self.streams:
            stream.offer_all(self.segments, size)


class Flush:
    """One flush of a publisher, under way: what its topics publish, until it is handed over."""

    def __init__(self, groups: "Groups") -> None:
        self.touched: set[OutboundStream] = set()
        self.groups: list[Group] = []
        self.made: list[Segment] = []
        self._groups = groups

    def group(self, streams: Iterable[OutboundStream]) -> Group:
        """Return the group of `streams`."""
        return self._groups.of(streams)

    def hand_over(self) -> None:
        """Write what the groups have gathered, and flush every connection that something was queued for."""
        small = []
        for group in self.groups:
            size = sum([one.size for one in group.segments])
            if size >= SHARED_FROM and len(group.streams) > 1:
                group.share(size)
                group.segments = []
            else:
                small.append((group, size))
            self.touched.update(group.streams)
        for group, size in small:
            group.queue(size)
            group.segments = []
        for stream in self.touched:
            stream.flush()


class Groups:
    """All groups of a publisher, by their connections; a group lives as long as a topic holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[frozenset[OutboundStream], Group] = WeakValueDictionary()

    def of(self, streams: Iterable[OutboundStream]) -> Group:
        """Return the group of `streams`."""
        key = frozenset(streams)
        group = self._known.get(key)
        if group is None:
            group = self._known[key] = Group(key)
        return group
