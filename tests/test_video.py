"""`retint video`, on clips made from the sample photographs."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from commands import fails_in_one_line, retint, retint_here

av = pytest.importorskip("av", reason="the video extra is not installed")

from retint.errors import RetintError  # noqa: E402 - after it is known that there is PyAV
from retint.video import Film  # noqa: E402
from retint.whole import partial_path  # noqa: E402

SAMPLES = Path(__file__).parent.parent / "samples"
WIDTH, HEIGHT = 160, 120


def photo(name):
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return np.asarray(image.convert("L"))


def pan(name, count, step=2):
    """Windows of a photograph, each further to the right."""
    picture = photo(name)
    return [
        np.ascontiguousarray(picture[60 : 60 + HEIGHT, 20 + step * i : 20 + step * i + WIDTH])
        for i in range(count)
    ]


def write_clip(
    path, frames, *, times=None, base=Fraction(1, 25), sound=None, turn=0, codec=None, start=0
):
    """A film of grey frames; `times` in ticks of `base`, `sound` a codec for a tone.

    All of it is `start` seconds later.
    """
    height, width = frames[0].shape
    exactly = {"movie_timescale": str(base.denominator)} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=exactly) as out:
        lossless = codec == "ffv1"
        video = out.add_stream(
            codec or "libx264", rate=25, options={} if lossless else {"crf": "10"}
        )
        video.width, video.height = width, height
        video.pix_fmt = "gray" if lossless else "yuv420p"
        video.codec_context.time_base = base
        if turn:
            video.set_display_rotation(turn)
        audio = out.add_stream(sound, rate=44100, layout="mono") if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "gray").reformat(format=video.pix_fmt)
            frame.pts = (times[number] if times else number) + round(start / base)
            frame.time_base = base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio:
            tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44100 * len(frames) // 25) / 44100)
            samples = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], "fltp", "mono")
            samples.sample_rate, samples.pts = 44100, round(start * 44100)
            out.mux(audio.encode(samples))
            out.mux(audio.encode(None))
    return path


def read_clip(path):
    """Decoded frames of a film."""
    with av.open(str(path)) as film:
        return list(film.decode(video=0))


def planes(path):
    """Luma and chroma of all frames, as decoded."""
    return [frame.to_ndarray() for frame in read_clip(path)]


def packets(path):
    """Sound as it is in the file."""
    with av.open(str(path)) as film:
        found = film.demux(film.streams.audio[0])
        return [(p.pts * p.time_base, p.duration, bytes(p)) for p in found if p.size]


def chroma(rgb):
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[:, :, 1:]


@pytest.fixture(scope="module")
def model():
    from retint.model import open_model

    return open_model("default")


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "film.mp4", pan("cat", 6), sound="aac")


def test_a_film_is_coloured_with_its_times_its_sound_and_its_greys(clip):
    done = retint("video", clip)
    assert done.returncode == 0, done.stderr
    result = clip.with_name("film-color.mp4")
    assert done.stdout.strip() == f"{clip} -> {result}"
    before, after = read_clip(clip), read_clip(result)
    assert [frame.time for frame in after] == [frame.time for frame in before]
    assert [f.duration * f.time_base for f in after] == [f.duration * f.time_base for f in before]
    assert packets(result) == packets(clip)
    colors = [frame.to_ndarray(format="rgb24") for frame in after]
    assert all(np.ptp(rgb.astype(int), axis=2).mean() > 5 for rgb in colors)
    assert {path.name for path in clip.parent.iterdir()} == {clip.name, result.name}
    about = retint_here("info", result).stdout
    assert f"{WIDTH} x {HEIGHT}" in about
    assert "6, 25 a second" in about
    assert "colours inferred by retint" in about
    with av.open(str(result)) as film:
        assert film.metadata["comment"].startswith("colours inferred by retint ")
        assert "model default" in film.metadata["comment"]
        assert "seed none, strength 1; digital source type comp" in film.metadata["comment"]
        assert film.streams.video[0].codec_context.colorspace == 6  # small, so BT.601


def test_greys_stay_as_they_are(clip, tmp_path):
    assert retint("video", clip, "--strength", 0, "-o", tmp_path / "grey.mkv").returncode == 0
    for before, after in zip(planes(clip), planes(tmp_path / "grey.mkv"), strict=True):
        difference = np.abs(before[:HEIGHT].astype(int) - after[:HEIGHT])
        assert difference.mean() < 1.5  # what crf 18 does to a small picture
        assert abs(before[:HEIGHT].mean() - after[:HEIGHT].mean()) < 0.1
        assert np.abs(after[HEIGHT:].astype(int) - 128).max() <= 1


def test_conversions_of_greys_are_exact(tmp_path):
    from retint.video import Film

    ramp = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1)) + 40
    path = write_clip(tmp_path / "ramp.mkv", [ramp], codec="ffv1")
    with Film(path) as film:
        (frame,) = film.frames()
        pixels = film.pixels(frame)
        np.testing.assert_array_equal(pixels, ramp)
        luma = film.to_yuv(np.dstack([pixels] * 3)).to_ndarray()[:HEIGHT]
        np.testing.assert_array_equal(luma, np.round(16 + ramp * 219.0 / 255))


def test_times_that_vary_and_begin_late(tmp_path):
    times = [9009, 10010, 14014, 15015, 25025]
    base = Fraction(1, 30000)
    clip = write_clip(tmp_path / "film.mp4", pan("cat", 5), times=times, base=base)
    assert [f.pts * f.time_base for f in read_clip(clip)] == [t * base for t in times]
    assert retint_here("video", clip, "-o", tmp_path / "out.mov").returncode == 0
    result = read_clip(tmp_path / "out.mov")
    assert [frame.pts * frame.time_base for frame in result] == [t * base for t in times]


@pytest.mark.parametrize("count", [12, 32])
def test_a_joined_film_whose_times_begin_anew_keeps_its_length_and_sound(tmp_path, count):
    part = write_clip(tmp_path / "part.ts", pan("cat", count), sound="aac")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    done = retint_here("video", joined, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0
    assert "retint: " not in done.stderr  # but how far it is, where that takes long
    times = [frame.time for frame in read_clip(tmp_path / "out.mp4")]
    assert {round(after - before, 3) for before, after in pairwise(times)} == {0.04}
    assert len(times) == 2 * count
    sound = packets(tmp_path / "out.mp4")
    whole = packets(part)
    assert 2 * len(whole) - 4 <= len(sound) <= 2 * len(whole)  # some overlap where the parts meet
    first, second = (whole[-1][0] - whole[0][0], sound[-1][0] - sound[0][0])
    assert abs(second - first - count / 25) < 0.01  # as late as the frames of its part


def steps(path):
    """Seconds between the frames of a film."""
    return {round(after.time - before.time, 3) for before, after in pairwise(read_clip(path))}


def late(path):
    """Seconds by which sound begins after the frames, and ends after the last of them begins."""
    sound, frames = packets(path), read_clip(path)
    return float(sound[0][0]) - frames[0].time, float(sound[-1][0]) - frames[-1].time


@pytest.mark.parametrize("starts", [(200, 0), (0, 90000), (200, 0, 0), (95442.92,)])
def test_parts_follow_each_other_whatever_their_clocks_say(tmp_path, starts):
    """The last is one part, whose clock of 33 bits begins anew in the middle of it."""
    joined, count = tmp_path / "joined.ts", 32
    with joined.open("wb") as file:
        for start in starts:
            part = write_clip(tmp_path / "part.ts", pan("cat", count), sound="aac", start=start)
            file.write(part.read_bytes())
    done = retint_here("video", joined, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0
    assert "retint: " not in done.stderr  # but how far it is, where that takes long
    assert len(read_clip(tmp_path / "out.mp4")) == len(starts) * count
    assert steps(tmp_path / "out.mp4") == {0.04}
    assert len(packets(tmp_path / "out.mp4")) >= len(starts) * (len(packets(part)) - 8)
    assert late(tmp_path / "out.mp4") == pytest.approx(late(part), abs=0.05)


def test_sound_stays_with_its_part_where_another_is_silent(tmp_path):
    joined, count = tmp_path / "joined.ts", 50
    sounding = write_clip(tmp_path / "part.ts", pan("cat", count), sound="aac")
    silent = write_clip(tmp_path / "silent.ts", pan("coffee", count))
    joined.write_bytes(sounding.read_bytes() + silent.read_bytes() + sounding.read_bytes())
    done = retint_here("video", joined, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0
    assert "retint: " not in done.stderr
    assert len(read_clip(tmp_path / "out.mp4")) == 3 * count
    times = [float(time) for time, _, _ in packets(tmp_path / "out.mp4")]
    begin = times[0]
    (gap,) = [pair for pair in pairwise(times) if pair[1] - pair[0] > 0.5]
    assert gap[0] - begin == pytest.approx(count / 25, abs=0.1)
    assert gap[1] - begin == pytest.approx(2 * count / 25, abs=0.1)


@pytest.mark.parametrize(("wrong", "sound"), [(6, "aac"), (6, None), (16, None)])
def test_a_wrong_time_moves_nothing_that_follows(tmp_path, wrong, sound):
    film, part = tmp_path / "film.ts", tmp_path / "part.ts"
    with film.open("wb") as file:
        for start, count, of in ((10, 40, "aac"), (wrong, 1, sound), (11.64, 40, "aac")):
            file.write(write_clip(part, pan("cat", count), sound=of, start=start).read_bytes())
    assert retint_here("video", film, "-o", tmp_path / "out.mp4").returncode == 0
    assert len(read_clip(tmp_path / "out.mp4")) == 81
    assert steps(tmp_path / "out.mp4") == {0.04}
    assert late(tmp_path / "out.mp4") == pytest.approx(late(part), abs=0.05)


def test_rotation_is_kept_and_the_network_sees_it_upright(tmp_path, model):
    from retint.video import Film, FilmOptions, Painter

    clip = write_clip(tmp_path / "film.mp4", pan("cat", 3), turn=90)
    for name in ("out.mp4", "out.mkv"):
        assert retint("video", clip, "-o", tmp_path / name).returncode == 0
        assert {frame.rotation for frame in read_clip(tmp_path / name)} == {90}
    with Film(clip) as film:
        frame = next(iter(film.frames()))
        assert film.quarter_turns == 1
        lying = film.pixels(frame)
    upright = np.ascontiguousarray(np.rot90(lying))
    one, _ = Painter(model, FilmOptions(), 1).paint(lying)
    other, _ = Painter(model, FilmOptions()).paint(upright)
    assert np.abs(np.rot90(one).astype(int) - other).mean() < 1


def test_sound_that_does_not_fit_is_named(tmp_path):
    clip = write_clip(tmp_path / "film.mkv", pan("cat", 2), sound="wavpack")
    done = retint("video", clip, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0
    assert "audio stream 1 (wavpack) does not fit into .mp4" in done.stderr
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert not film.streams.audio


def test_streams_that_are_left_out_are_named_and_hdr_stays_hdr(tmp_path):
    clip = tmp_path / "film.mkv"
    pixels = av.VideoFrame.from_ndarray(pan("cat", 1)[0], "gray").reformat(format="yuv420p")
    with av.open(str(clip), "w") as out:
        out.add_attachment("font.ttf", "font/ttf", b"a font")
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for video in streams:
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            of = video.codec_context
            of.colorspace, of.color_primaries, of.color_trc = 9, 9, 16  # BT.2020 and PQ
        for video in streams:
            pixels.pts, pixels.time_base = 0, Fraction(1, 25)
            out.mux(video.encode(pixels))
            out.mux(video.encode(None))
    done = retint_here("video", clip)
    assert done.returncode == 0
    assert "attachment stream 2 (font.ttf) is left out" in done.stderr
    assert "video stream 1 (h264) is left out" in done.stderr
    with av.open(str(tmp_path / "film-color.mkv")) as film:
        (video,) = film.streams
        assert (video.colorspace, video.color_primaries, video.color_trc) == (9, 9, 16)


def test_odd_sizes(tmp_path):
    frames = [frame[:-1, :-1] for frame in pan("cat", 2)]
    clip = write_clip(tmp_path / "film.avi", frames, codec="ffv1")
    done = retint("video", clip)
    assert done.returncode == 0
    assert "odd size" in done.stderr
    result = read_clip(tmp_path / "film-color.mkv")  # AVI is not written
    assert (result[0].width, result[0].height) == (WIDTH, HEIGHT)


def test_a_still_shows_no_change_of_colour(model):
    from retint.video import FilmOptions, Painter

    painter = Painter(model, FilmOptions())
    for frame in pan("cat", 2):  # colours that come from moving ...
        painter.paint(frame)
    still = pan("coffee", 1)[0]
    first, cut = painter.paint(still)
    assert cut
    for _ in range(3):  # ... and from a cut do not go on changing
        again, cut = painter.paint(still)
        assert not cut
        np.testing.assert_array_equal(again, first)


def test_a_pan_is_steadier_than_its_frames_by_themselves(model):
    from retint.video import FilmOptions, Painter

    def flicker(colored):
        # Frames move by 2 pixels.
        moves = pairwise(colored)
        return np.mean([np.abs(chroma(a)[:, 2:] - chroma(b)[:, :-2]).mean() for a, b in moves])

    frames = pan("cat", 10)
    painter = Painter(model, FilmOptions())
    steady = [painter.paint(frame)[0] for frame in frames]
    alone = [Painter(model, FilmOptions()).paint(frame)[0] for frame in frames]
    assert flicker(steady) < 0.4 * flicker(alone)


def test_no_colour_goes_over_a_cut(model):
    from retint.video import FilmOptions, Painter

    painter = Painter(model, FilmOptions())
    cuts = []
    for frame in [*pan("cat", 3), *pan("coffee", 3)]:
        colored, cut = painter.paint(frame)
        cuts.append(cut)
        if cut:
            alone, _ = Painter(model, FilmOptions()).paint(frame)
            np.testing.assert_array_equal(colored, alone)
    assert cuts == [True, False, False, True, False, False]


def test_a_killed_run_goes_on_to_the_same_film(tmp_path):
    clip = write_clip(tmp_path / "film.mp4", pan("cat", 14) + pan("coffee", 30), sound="aac")
    whole, resumed = tmp_path / "whole.mp4", tmp_path / "resumed.mp4"
    assert retint("video", clip, "-o", whole).returncode == 0
    command = [sys.executable, "-c", "from retint.cli import main; main()", "video"]
    run = subprocess.Popen([*command, str(clip), "-o", str(resumed)])
    work = partial_path(tmp_path / "resumed.mp4", sole=True)
    deadline = time.monotonic() + 300
    while not (work / "00000.nut").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not resumed.exists()
    done = retint("-v", "video", clip, "-o", resumed)
    assert done.returncode == 0
    assert "00000.nut" not in done.stderr  # was there
    assert "00001.nut" in done.stderr
    assert not work.exists()
    for one, other in zip(planes(whole), planes(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    assert packets(resumed) == packets(clip)


def test_colours_go_on_in_the_middle_of_a_shot(tmp_path):
    from retint.video import Film, FilmOptions, colorize_film

    clip = write_clip(tmp_path / "film.mkv", pan("cat", 9))

    class StoppedError(Exception):
        pass

    def stop(done):
        if done == 6:
            raise StoppedError

    whole, resumed = tmp_path / "whole.mkv", tmp_path / "resumed.mkv"
    with Film(clip) as film:
        colorize_film(film, whole, FilmOptions(), segment_frames=4)
    with Film(clip) as film, pytest.raises(StoppedError):
        colorize_film(film, resumed, FilmOptions(), segment_frames=4, progress=stop)
    done = []
    with Film(clip) as film:
        colorize_film(film, resumed, FilmOptions(), segment_frames=4, progress=done.append)
    assert done == [5, 6, 7, 8, 9]
    for one, other in zip(planes(whole), planes(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_work_of_other_settings_is_not_taken(tmp_path):
    from retint.video.segments import held_work

    folder = tmp_path / "work"
    with held_work(folder, {"strength": 1}):
        (folder / "00000.nut").touch()
    with held_work(folder, {"strength": 1}) as work:
        assert len(work.segments) == 1
    with held_work(folder, {"strength": 0.5}) as work:
        assert not work.segments


def test_a_segment_has_its_name_after_its_state(clip, monkeypatch):
    renamed, rename = [], os.replace

    def note(source, target):
        renamed.append(Path(target).name)
        rename(source, target)

    monkeypatch.setattr(os, "replace", note)  # whole files are on the disk before that
    assert retint_here("video", clip).returncode == 0
    assert renamed == ["00000.npz", "00000.nut", "film-color.mp4"]


def test_two_runs_cannot_write_one_film(clip):
    from retint.video.segments import held_work

    folder = partial_path(clip.with_name("film-color.mp4"), sole=True)
    with held_work(folder, {}):
        (folder / "00000.nut").touch()
        fails_in_one_line(retint_here("video", clip), "another run is at work in")
        assert (folder / "00000.nut").exists()
    assert retint_here("video", clip).returncode == 0


def test_an_output_that_exists_is_kept(clip):
    result = clip.with_name("film-color.mp4")
    result.write_bytes(b"mine")
    fails_in_one_line(retint_here("video", clip), "exists", "--overwrite")
    assert result.read_bytes() == b"mine"
    fails_in_one_line(retint_here("video", clip, "-o", clip, "--overwrite"), "the film itself")
    assert retint_here("video", clip, "--overwrite").returncode == 0
    assert len(read_clip(result)) == 6


def test_a_film_may_have_the_longest_name_there_is(clip, tmp_path):
    out = tmp_path / f"{'f' * 251}.mp4"
    done = retint_here("video", clip, "-o", out)
    assert done.returncode == 0, done.stderr
    assert len(read_clip(out)) == 6


def test_a_film_goes_into_a_folder_and_is_no_photograph(clip, tmp_path):
    (tmp_path / "out").mkdir()
    assert retint_here("video", clip, "-o", tmp_path / "out").returncode == 0
    assert len(read_clip(tmp_path / "out" / "film-color.mp4")) == 6
    done = retint_here("colorize", clip, "-o", tmp_path / "other.mp4")
    fails_in_one_line(done, f"is a film: colour it with retint video {clip}")


def test_a_film_cut_short_is_coloured_as_far_as_it_goes(tmp_path):
    clip = write_clip(tmp_path / "film.mkv", pan("cat", 20), codec="ffv1")
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 4])
    done = retint("video", clip)
    assert done.returncode == 0
    assert "damaged or cut short" in done.stderr
    assert 2 <= len(read_clip(tmp_path / "film-color.mkv")) < 8


def test_bad_films_are_named(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mp4").touch()
    headless = tmp_path / "cut.mp4"  # its index was at the end
    headless.write_bytes(clip.read_bytes()[:3000])
    with av.open(str(tmp_path / "tone.wav"), "w") as out:
        audio = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate = 8000
        out.mux(audio.encode(samples))
    fails_in_one_line(retint("video", tmp_path / "text.mp4"), "text.mp4", "not a video")
    for name, words in (  # the rest in this process, which has all that it needs
        ("empty.mp4", "empty.mp4 is not a video"),
        ("cut.mp4", "cut.mp4 is not a video"),
        ("none.mp4", "none.mp4 does not exist"),
        (".", "folder"),
        ("tone.wav", "tone.wav.* no video"),
    ):
        with pytest.raises(RetintError, match=words), Film(tmp_path / name):
            pass


def test_bad_outputs_are_named(clip, tmp_path):
    fails_in_one_line(retint_here("video", clip, "-o", tmp_path / "out.gif"), "'.gif'", ".mp4")
    (tmp_path / "file").touch()
    fails_in_one_line(retint_here("video", clip, "-o", tmp_path / "file" / "out.mp4"), "out.mp4")
    fails_in_one_line(retint_here("video", clip, "--model", "nobody"), "nobody")


def test_without_the_extra_and_without_torch(clip):
    code = (
        "import sys; sys.modules['{}'] = None; sys.argv = ['retint', 'video', r'{}']\n"
        "from retint.cli import main; main()"
    )

    def run(hidden):
        command = [sys.executable, "-c", code.format(hidden, clip)]
        return subprocess.run(command, capture_output=True, text=True)

    fails_in_one_line(run("av"), "the video extra", ".[video]")
    assert run("torch").returncode == 0


def test_a_photograph_is_no_film():
    cat = SAMPLES / "cat.jpg"
    fails_in_one_line(retint_here("video", cat), f"{cat} is a photograph", f"retint {cat}")


def test_a_folder_is_no_film(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails_in_one_line(retint_here("video", "."), "is a folder where a film is wanted")
