"""Films that are written, by PyAV: segments of H.264, and the film that they are joined to."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from retint.video.film import TEXT, Film, Frame, Pixels, name_of

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Endings of the films that are written, and libav's names of their formats."""

_ENCODING = {"crf": "18", "preset": "medium"}


def fitting(film: Film, suffix: str) -> tuple[list[av.stream.Stream], list[str]]:
    """Sound and subtitles that a file of this ending can hold; a line for each stream left out."""
    streams = {stream: _fits(stream, FORMATS[suffix]) for stream in film.others}
    refused = [
        f"{_called(stream)} does not fit into {suffix} and is left out"
        + ("" if suffix == ".mkv" else ": .mkv may take it")
        for stream, fits in streams.items()
        if not fits
    ]
    refused += [f"{_called(stream)} is left out" for stream in film.left_out]
    return [stream for stream, fits in streams.items() if fits], refused


class Encoder:
    """Writes one segment of a film as H.264."""

    def __init__(self, film: Film, path: Path) -> None:
        self._film = film
        # NUT keeps any time base exactly and needs no index at its end.
        self._container = av.open(str(path), "w", format="nut")
        self._stream = self._container.add_stream("libx264", rate=film.rate, options=_ENCODING)
        film.describe(self._stream)

    def write(self, pixels: Pixels, frame: Frame) -> None:
        """Append a frame: these pixels (H, W, 3), at the time of that frame."""
        encoded = self._film.to_yuv(pixels)
        encoded.pts, encoded.time_base = frame.start, self._film.time_base
        self._container.mux(self._stream.encode(encoded))

    def close(self, *, whole: bool = True) -> None:
        """Close the file; what the encoder still holds is written if it is to be `whole`."""
        if whole:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def join(
    film: Film,
    segments: Sequence[Path],
    target: Path,
    *,
    format_: str,
    end: int,
    others: Sequence[av.stream.Stream],
    comment: str,
) -> None:
    """Put segments and the source's other streams into one file, as they are.

    Args:
        film: the source.
        segments: files of `Encoder`, in their order.
        target: the file to write.
        format_: libav's name of its format.
        end: when the last frame ends, in ticks.
        others: streams of the source to take along.
        comment: where the colours come from.
    """
    # In milliseconds, their default, MP4 and MOV would round the start of the streams.
    options = {"movie_timescale": str(film.time_base.denominator), "movflags": "+faststart"}
    options = options if format_ in ("mp4", "mov") else {"avoid_negative_ts": "disabled"}
    with av.open(str(target), "w", format=format_, options=options, **TEXT) as out:
        out.metadata.update(film.metadata)
        said = (out.metadata.pop(key, "") for key in ("comment", "COMMENT"))
        out.metadata["comment"] = "; ".join(filter(None, (*said, comment)))
        with av.open(str(segments[0])) as first:
            video = out.add_stream_from_template(first.streams.video[0], opaque=True)
        video.time_base, video.rate = film.time_base, film.rate
        video.set_display_matrix(film.display_matrix)
        if film.language:
            video.metadata["language"] = film.language
        copies = {}
        for stream in others:
            copies[stream.index] = copy = out.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
        out.set_chapters(film.chapters)
        sources = (_video_packets(film, segments, end, video), film.packets(copies))
        for packet in heapq.merge(*sources, key=_time):
            out.mux_one(packet)


def _video_packets(
    film: Film, segments: Iterable[Path], end: int, copy: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets of all segments for a copy of their stream, each lasting until the next."""
    waiting: av.Packet[av.VideoStream] | None = None
    for segment in segments:
        with av.open(str(segment)) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size or packet.pts is None:
                    continue
                packet.pts = round(packet.pts * packet.time_base / film.time_base)
                packet.dts, packet.time_base = packet.pts, film.time_base
                packet.stream = copy  # the file that it is of is closed when the last one is used
                if waiting is not None:
                    waiting.duration = packet.pts - (waiting.pts or 0)
                    yield waiting
                waiting = packet
    if waiting is not None:
        waiting.duration = end - (waiting.pts or 0)
        yield waiting


def _called(stream: av.stream.Stream) -> str:
    return f"{stream.type} stream {stream.index} ({name_of(stream)})"


def _time(packet: av.Packet[Any]) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _fits(stream: av.stream.Stream, format_: str) -> bool:
    """Whether a container of this format takes such a stream; only trying tells."""
    try:
        with av.open(io.BytesIO(), "w", format=format_) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    return True
