"""The clock of joined films, whose parts each begin it anew: what lies where, and moves how far."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

_APART = 2  # seconds between sound and frames that lie side by side in a file, at most


@dataclass(frozen=True)
class Part:
    """A further part of a joined film.

    Attributes:
        place: of its first frame in the file, in bytes.
        shift: seconds by which it is moved.
    """

    place: int
    shift: Fraction


class PacketPlaces:
    """Where packets lie in the file; those that have no place of their own follow the last."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def of(self, packet: av.Packet[Any]) -> int:
        """The place of the next packet, in bytes."""
        if packet.pos is not None and packet.pos >= 0:
            self._last[packet.stream_index] = packet.pos
        return self._last.get(packet.stream_index, 0)


class Shifts:
    """Finds by how much what lies among the frames of a joined film is moved with them."""

    def __init__(self, further: Sequence[Part]) -> None:
        self._begins = [part.place for part in further]
        self._shifts = [Fraction(0), *(part.shift for part in further)]
        self._now: Fraction | None = None

    def note_frame(self, place: int, time: Fraction) -> None:
        """Say that there is a frame, at a time in seconds."""
        self._now = time + self._by_place(place)

    def shift_of(self, place: int, time: Fraction) -> Fraction:
        """Seconds by which a packet of another stream is to be moved."""
        shift, now = self._by_place(place), self._now
        if now is None or abs(time + shift - now) <= _APART:
            return shift
        # Where parts meet, sound may lie before the frames of its part, or after.
        return min((shift, *self._shifts), key=lambda other: abs(time + other - now))

    def _by_place(self, place: int) -> Fraction:
        return self._shifts[bisect_right(self._begins, place)]


class Clock:
    """The times of a stream's packets, without those that go back, which muxers refuse."""

    def __init__(self) -> None:
        self._earliest: int | None = None

    def sets(self, packet: av.Packet[Any], shift: int) -> bool:
        """Move a packet by `shift` ticks; whether there is room for it."""
        assert packet.dts is not None
        dts = packet.dts + shift
        if self._earliest is not None and dts < self._earliest:
            return False
        self._earliest = dts + (packet.stream.type == "audio")
        packet.dts = dts
        packet.pts = packet.pts + shift if packet.pts is not None else None
        return True
