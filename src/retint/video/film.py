"""Films that are read, by PyAV: their frames, times, colours and other streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from retint.errors import RetintError
from retint.photo import SUFFIXES
from retint.video.parts import Clock, PacketPlaces, Part, Shifts

Pixels = NDArray[np.uint8]

_BT709, _PAL, _NTSC, _BT2020 = 1, 5, 6, 9  # of matrices and primaries, in ITU-T H.273
_LIMITED, _FULL = 1, 2
# Without these, greys come out one off now and then.
_EXACTLY = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
# Titles in old encodings pass as they are; from 19 on PyAV sees to that by itself.
TEXT: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if av.__version__.startswith("18.") else {}
)
_MISSING = 0.5  # seconds; a film that ends this much early is not whole
# Of a second; times that go back by more are those of the next part of a joined film.
_ANEW = Fraction(1, 5)
_LEAP = 3600  # seconds; so are times that go ahead by more
# libav would take a part whose clock is lower for one whose clock of 33 bits ran over, and put it
# a day later.
_AS_THEY_ARE = {"correct_ts_overflow": "0"}
_OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")


@dataclass(frozen=True)
class Frame:
    """A frame not yet converted; `start` and `end` are in ticks of the film's `time_base`."""

    raw: av.VideoFrame
    start: int
    end: int


class Film:
    """An opened film.

    Attributes:
        width, height: of the frames as stored, before `quarter_turns`.
        time_base: seconds of a tick of the frames' times.
        length: how many frames there are, as far as the file says; 0 if it does not.
        damaged: whether something in it could not be read so far.
        display_matrix: how it is to be turned when shown, None for as it is; known from the first
            frame on.
        quarter_turns: the same, anticlockwise, as far as that says it.

    Raises:
        RetintError: if there is no such file or no video in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path):
            if path.is_dir():
                raise RetintError(f"{path} is a folder where a film is wanted")
            if path.suffix.lower() in SUFFIXES:  # libav would take it for a film of one frame
                raise RetintError(f"{path} is a photograph: colour it with retint {path}")
            self._container = av.open(str(path), "r", options=_AS_THEY_ARE, **TEXT)
        # A cover picture in a sound file is a video stream, too, but no film.
        pictures = av.stream.Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & pictures]
        if not streams or streams[0].codec_context is None or not streams[0].width:
            raise RetintError(f"{path} has no video that can be read")
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.copy_opaque = True
        self.width, self.height = self._stream.width, self._stream.height
        self.time_base = self._stream.time_base or Fraction(1, 1000)
        self.rate = self._stream.guessed_rate or Fraction(25)
        self._to_rgb, self._to_yuv = VideoReformatter(), VideoReformatter()
        self.damaged = False
        self._parts: list[Part] = []  # the further ones of a joined film
        self.quarter_turns = 0
        self.display_matrix: list[int] | None = None
        self.length = self._stream.frames or round((self._declared_end() or 0) * self.rate)
        self.matrix, self.primaries, self.curve = self._color_tags()
        full = self._stream.pix_fmt or ""
        self._full_in = self._stream.color_range == _FULL or full.startswith(("yuvj", "gray"))
        self._full_out = self._full_in and not full.startswith("gray")

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """Frames in their order, up to where the file can be read."""
        tick = max(1, round(1 / (self.rate * self.time_base)))
        end = last = None
        shift = 0
        for raw, following in pairwise(chain(self._decoded(), [None])):
            assert raw is not None
            if last is None:
                self._note_turn(raw)
            start = raw.pts + shift if raw.pts is not None else end if end is not None else 0
            gap = (start - last) * self.time_base if last is not None else Fraction(0)
            if last is not None and end is not None and abs(gap) > _ANEW:
                then = following.pts if following is not None else None
                if then is not None and _strays(last, start, then + shift):
                    start = end
                elif gap < -_ANEW or gap > _LEAP:
                    shift, start = shift + end - start, end
                    self._parts.append(Part(_place_of(raw), shift * self.time_base))
            if last is not None and start <= last:
                start = last + 1  # encoders refuse time that stands still
            end, last = start + (raw.duration or tick), start
            yield Frame(raw, start, end)
        declared = self._declared_end()
        if declared is not None:
            # Of a joined film, libav may tell the end by the clock of its last part.
            seen = max(end, end - shift) if end is not None else None
            self.damaged |= seen is None or seen * self.time_base < declared - _MISSING

    def pixels(self, frame: Frame) -> Pixels:
        """Grey (H, W) where the frame is grey, else (H, W, 3) sRGB."""
        rgb = self._to_rgb.reformat(
            frame.raw,
            self.width,
            self.height,
            "rgb24",
            src_colorspace=self.matrix,
            src_color_range=_FULL if self._full_in else _LIMITED,
            dst_color_range=_FULL,
            interpolation=_EXACTLY,
        ).to_ndarray()
        grey = (rgb == rgb[:, :, :1]).all()
        return np.ascontiguousarray(rgb[:, :, 0]) if grey else rgb  # type: ignore[return-value]

    def to_yuv(self, pixels: Pixels) -> av.VideoFrame:
        """A frame for the encoder, of even size: 4:2:0 knows no other."""
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = self._to_yuv.reformat(
            av.VideoFrame.from_ndarray(pixels, "rgb24"),
            format="yuv420p",
            dst_colorspace=self.matrix,
            src_color_range=_FULL,
            dst_color_range=_FULL if self._full_out else _LIMITED,
            interpolation=_EXACTLY,
        )
        frame.colorspace, frame.color_primaries = self.matrix, self.primaries
        frame.color_trc = self.curve
        return frame

    def describe(self, stream: av.VideoStream) -> None:
        """Tell an encoder's stream what it is to carry."""
        context = stream.codec_context
        stream.width, stream.height = (side + side % 2 for side in (self.width, self.height))
        context.time_base = self.time_base
        context.colorspace, context.color_primaries = self.matrix, self.primaries
        context.color_trc = self.curve
        context.color_range = _FULL if self._full_out else _LIMITED
        if self._stream.sample_aspect_ratio:
            context.sample_aspect_ratio = self._stream.sample_aspect_ratio
        # Without B-frames packets lie in the order of their times, so segments join seamlessly.
        context.max_b_frames = 0

    def packets(self, copies: dict[int, av.stream.Stream]) -> Iterator[av.Packet[Any]]:
        """Packets from the start, as they are, for copies of streams by their index.

        Those of a joined film's further parts are moved as its frames were, which come first.
        """
        if not copies:
            return
        clocks = {index: Clock() for index in copies}
        places, shifts = PacketPlaces(), Shifts(self._parts)
        wanted = (self._stream.index, *copies)
        with av.open(str(self.path), "r", options=_AS_THEY_ARE, **TEXT) as container:
            try:
                for packet in container.demux([container.streams[index] for index in wanted]):
                    index = packet.stream_index
                    if not packet.size or packet.dts is None:
                        continue
                    place, time = places.of(packet), packet.dts * packet.time_base
                    if index == self._stream.index:
                        shifts.note_frame(place, time)
                        continue
                    shift = round(shifts.shift_of(place, time) / packet.time_base)
                    if not clocks[index].sets(packet, shift):
                        self.damaged |= not self._parts  # where parts meet, they may overlap
                        continue
                    packet.stream = copies[index]
                    yield packet
            except av.FFmpegError:
                self.damaged = True

    @property
    def others(self) -> list[av.stream.Stream]:
        """Streams of sound and subtitles."""
        return [s for s in self._container.streams if s.type in ("audio", "subtitle")]

    @property
    def left_out(self) -> list[av.stream.Stream]:
        """Streams that are not taken along: pictures, fonts, data, further video."""
        taken = [self._stream, *self.others]
        rest = [stream for stream in self._container.streams if stream not in taken]
        # MP4 has chapters in a stream of text, too, which is read as data.
        return [s for s in rest if not (self.chapters and name_of(s) == "bin_data")]

    @property
    def language(self) -> str | None:
        """Language of the video stream."""
        language: str | None = self._stream.language
        return language

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself: title, date and the like."""
        facts = self._container.metadata
        return {key: value for key, value in facts.items() if key.lower() not in _OF_THE_FILE}

    @property
    def chapters(self) -> list[Any]:
        """Chapters, in libav's form."""
        chapters: list[Any] = self._container.chapters()
        return chapters

    def _decoded(self) -> Iterator[av.VideoFrame]:
        places = PacketPlaces()
        try:
            for packet in self._container.demux(self._stream):
                packet.opaque = places.of(packet)  # the frame has it, too, whenever it comes out
                try:
                    yield from packet.decode() if packet.size else ()
                except av.FFmpegError:
                    self.damaged = True
        except av.FFmpegError:
            self.damaged = True
        with suppress(av.FFmpegError):  # nothing was waiting
            yield from self._stream.decode(None)

    def _note_turn(self, raw: av.VideoFrame) -> None:
        matrix: Any = raw.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            self.display_matrix = np.frombuffer(bytes(matrix), np.int32).tolist()
            self.quarter_turns = round(raw.rotation / 90) % 4

    def _declared_end(self) -> float | None:
        """When the last frame ends, in seconds, if the file says so."""
        if self._stream.duration:
            return float(((self._stream.start_time or 0) + self._stream.duration) * self.time_base)
        tag = self._stream.metadata.get("DURATION", "").split(":")  # Matroska's
        try:
            hours, minutes, seconds = map(float, tag)
            return hours * 3600 + minutes * 60 + seconds
        except ValueError:
            return None

    def _color_tags(self) -> tuple[int, int, int]:
        """Matrix, primaries and transfer curve: the source's, or what its size makes likely."""
        stream = self._stream
        if stream.colorspace in (_BT709, _PAL, _NTSC, _BT2020):
            return stream.colorspace, stream.color_primaries, stream.color_trc
        if stream.height > 576 or stream.width > 1024:
            return _BT709, _BT709, _BT709
        return (_PAL, _PAL, _NTSC) if stream.height == 576 else (_NTSC, _NTSC, _NTSC)


def _strays(last: int, start: int, then: int) -> bool:
    """Whether a frame's time is wrong: that of the next one is nearer to the last frame's."""
    return abs(then - start) >= abs(then - last)


def _place_of(frame: av.VideoFrame) -> int:
    place: Any = frame.opaque
    return place or 0


def describe_film(path: Path) -> dict[str, str]:
    """What `retint info` says of a film.

    Raises:
        RetintError: if it cannot be read.
    """
    with Film(path) as film:
        facts = {
            "file": str(path),
            "size": f"{film.width} x {film.height}",
            "frames": f"{film.length or 'unknown'}, {float(film.rate):g} a second",
        }
        if film.others:
            facts["with"] = ", ".join(stream.type for stream in film.others)
        return facts | film.metadata


def name_of(stream: av.stream.Stream) -> str:
    """A stream's codec or, of an attachment, its file; what libav does not know has no name."""
    name: str | None = getattr(stream, "name", None)
    return name or "unknown"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what libav raises into one line that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise RetintError(f"{path} does not exist") from error
    except (av.InvalidDataError, av.error.EOFError) as error:
        raise RetintError(
            f"{path} is not a video that retint can read: it may be damaged or something else"
        ) from error
    except (OSError, av.FFmpegError) as error:
        raise RetintError(f"{path} cannot be read: {error.strerror or error}") from error
