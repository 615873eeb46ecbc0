"""What the machine refuses is said in one line, and nothing half done is left.

The disk is full, the output cannot be written, a permission is lost meanwhile, the clock jumps, or
there is less memory than a photograph needs: the exit code is not 0, there is no traceback, the
originals stay as they are, and no file has an output's name but whole ones.
"""

import ctypes
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import httpx
import numpy as np
import pytest
from PIL import Image

from commands import COMMAND, SAMPLES, START, fails_in_one_line, retint_here
from faults.rounds import rounds, whole_suite
from serving import address_of, finished, served

_FULL_DISK = (
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
)
_LITTLE_MEMORY = "import resource; resource.setrlimit(resource.RLIMIT_AS, ({0}, {0})); "
_LIBC = ctypes.CDLL(None)
_DROP_CAPABILITY = 24  # of prctl
_IGNORES_PERMISSIONS = (1, 2)  # the capabilities of root that do


def obey_permissions() -> None:
    """Let a child process that belongs to root be refused what others are refused."""
    for capability in _IGNORES_PERMISSIONS:
        _LIBC.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)


def limited(limit, *arguments):
    """The command in a process with a limit, or with none but file permissions."""
    # Where files may not grow, Python would leave halves of its compiled modules.
    command = [sys.executable, "-B", "-c", limit + START, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=obey_permissions)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def left_in(folder):
    """All but journals and folders."""
    return {path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl"}


@pytest.fixture
def scans(tmp_path):
    """A folder of four small grey photographs and a large one."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(4):
        Image.linear_gradient("L").resize((90, 60)).rotate(number).save(folder / f"{number}.jpg")
    noise = np.random.default_rng(0).integers(0, 255, (600, 800)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "large.png")
    return folder


SMALL = {f"{number}-color.jpg" for number in range(4)}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_files_that_may_not_grow_leave_no_halves(scans, tmp_path):
    # A limit on the size of files stands for the disk: the encoder's writes fail half-way.
    before, out = contents(scans), tmp_path / "out"
    done = limited(_FULL_DISK.format(200_000), "colorize", scans, "-o", out)
    fails_in_one_line(done, "large-color.png cannot be written")
    assert "4 coloured, 1 failed" in done.stderr
    assert left_in(out) == SMALL
    assert contents(scans) == before


def test_a_full_disk_leaves_no_halves(scans, small_disk):
    before = contents(scans)
    done = limited("", "colorize", scans, "-o", small_disk / "out")
    fails_in_one_line(done, "large-color.png cannot be written")
    assert left_in(small_disk) == SMALL
    assert contents(scans) == before


@pytest.mark.parametrize("room", rounds((1_000,), (100, 1_000, 2_000, 5_000, 20_000)))
def test_disks_with_less_and_less_room(scans, tmp_path, room):
    done = limited(_FULL_DISK.format(room), "colorize", scans, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for path in (tmp_path / "out").glob("*.jpg"):
        Image.open(path).load()
    assert not list((tmp_path / "out").rglob("*partial*"))
    again = limited("", "colorize", scans, "-o", tmp_path / "out")
    assert again.returncode == 0, again.stderr
    assert left_in(tmp_path / "out") == {*SMALL, "large-color.png"}


def test_no_room_for_the_metadata_beside_a_result(tmp_path):
    Image.linear_gradient("L").resize((9, 6)).save(tmp_path / "tiny.bmp")  # less than its XMP
    done = limited(_FULL_DISK.format(500), "colorize", tmp_path / "tiny.bmp")
    fails_in_one_line(done, "tiny-color.bmp cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.bmp"]


def test_a_film_goes_on_when_there_is_room_again(tmp_path):
    pytest.importorskip("av")
    from test_video import pan, read_clip, write_clip

    clip = write_clip(tmp_path / "film.mp4", pan("cat", 8), sound="aac")
    before = clip.read_bytes()
    done = limited(_FULL_DISK.format(2_000), "video", clip)
    fails_in_one_line(done, "film-color.mp4 cannot be written")
    assert not clip.with_name("film-color.mp4").exists()
    assert limited("", "video", clip).returncode == 0
    assert len(read_clip(clip.with_name("film-color.mp4"))) == 8
    assert clip.read_bytes() == before
    assert left_in(tmp_path) == {"film.mp4", "film-color.mp4"}


@whole_suite
@pytest.mark.parametrize("room", [2_000, 300_000, 1_500_000])
def test_a_training_that_runs_out_of_room_says_so(photographs, tmp_path, room, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changes = ("data.size=64", "generator.options.width=8", "generator.options.depth=6")
    options = [part for change in (*changes, "stages.0.epochs=1") for part in ("--set", change)]
    command = ("train", photographs, "--recipe", "unet-gan", *options, "-o", tmp_path / "run")
    done = limited(_FULL_DISK.format(room), *command)
    fails_in_one_line(done, "room")
    assert not list(tmp_path.rglob("*partial*"))
    assert all(path.with_name("names.json").exists() for path in tmp_path.rglob("images.npy"))
    assert not list(tmp_path.rglob("generator.onnx"))
    for checkpoint in tmp_path.rglob("*.safetensors"):
        assert limited("", "export", checkpoint.parent).returncode == 0


def test_jobs_for_which_there_is_no_room(small_disk):
    with served(small_disk / "jobs") as client:
        large = {"photo": bytes(600_000)}
        for _ in range(3):
            answer = client.post("/v1/jobs", files=large)
            assert answer.status_code == 507
            assert "no room" in answer.json()["error"]
        cat = (SAMPLES / "cat.jpg").read_bytes()
        answer = client.post("/v1/jobs", files={"photo": cat})  # there is room for small ones
        assert answer.status_code == 202
        assert len(list((small_disk / "jobs").glob("?" * 32))) == 1  # a folder for each job


def test_outputs_that_may_not_be_written(scans, tmp_path):
    before = contents(scans)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for out in (closed / "a.jpg", closed / "new" / "a.jpg"):
        done = limited("", "colorize", scans / "0.jpg", "-o", out)
        fails_in_one_line(done, "a.jpg cannot be written: Permission denied")
    fails_in_one_line(
        limited("", "colorize", scans, "-o", closed), "cannot be written: Permission denied"
    )
    assert not list(closed.iterdir())
    assert contents(scans) == before


def test_photographs_that_may_not_be_read(scans, tmp_path):
    (scans / "0.jpg").chmod(0)
    (scans / "secret").mkdir(mode=0)
    done = limited("", "colorize", scans, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "0.jpg cannot be read: Permission denied" in done.stderr
    assert "secret cannot be read: Permission denied" in done.stderr
    assert "4 coloured, 2 failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_may_not_be_read(tmp_path):
    (tmp_path / "m.onnx").touch(mode=0)
    done = limited("", "colorize", SAMPLES / "cat.jpg", "--model", tmp_path / "m.onnx")
    fails_in_one_line(done, "m.onnx cannot be read: Permission denied")


def test_a_permission_that_is_lost_meanwhile(tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(16):
        shutil.copy(SAMPLES / "cat.jpg", scans / f"{number:02d}.jpg")
    process = subprocess.Popen(
        [*COMMAND, "colorize", scans, "-o", out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=obey_permissions,
    )
    process.stdout.readline()
    out.chmod(0o500)
    _, said = process.communicate(timeout=120)
    out.chmod(0o700)
    assert process.returncode == 1
    assert "Traceback" not in said
    for path in out.glob("*.jpg"):
        Image.open(path).load()
    again = limited("", "colorize", scans, "-o", out)
    assert again.returncode == 0, again.stderr
    assert len(left_in(out)) == 16
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("year", rounds((1930,), (1930, 1970, 2037, 2106)))
def test_photographs_of_strange_times(scans, tmp_path, year):
    moment = (year - 1970) * 31_556_952
    for path in scans.iterdir():
        os.utime(path, (moment, moment))
    out = tmp_path / "out"
    assert retint_here("colorize", scans, "-o", out).returncode == 0
    assert {round(path.stat().st_mtime) for path in out.glob("*.jpg")} == {moment}
    assert "5 done before" in retint_here("colorize", scans, "-o", out).stderr


def test_a_clock_that_jumps_between_two_runs(scans, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for moment in ("4000000000", "1000"):  # far ahead, then far back
        monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
        done = retint_here("colorize", scans, "-o", out)
        assert done.returncode == 0, done.stderr
    assert "5 done before" in done.stderr
    for line in (out / "retint-journal.jsonl").read_text().splitlines():
        assert line.startswith("{")


@pytest.mark.parametrize(("moment", "stays"), [(10.0, False), (4e9, True)])
def test_jobs_when_the_clock_jumps(tmp_path, moment, stays):
    cat = (SAMPLES / "cat.jpg").read_bytes()

    def made(client):
        job = client.post("/v1/jobs", files={"photo": cat}).json()["id"]
        finished(client, job)
        return job

    with served(tmp_path) as client:
        job = made(client)
        database = sqlite3.connect(tmp_path / "jobs.sqlite")
        with database:
            database.execute("update jobs set finished = ?", (moment,))
        database.close()
        for _ in range(2):  # any work looks for what has expired, before it or after it
            assert made(client) != job
        found = client.get(f"/v1/jobs/{job}/files/0")
        assert (found.status_code == 200) == stays
        assert (tmp_path / job).exists() == stays


@pytest.mark.parametrize("megabytes", rounds((725, 850), tuple(range(650, 1500, 25))))
def test_too_little_memory_for_a_photograph(tmp_path, megabytes):
    photo, out = tmp_path / "large.png", tmp_path / "out"
    ramp = np.asarray(Image.linear_gradient("L").resize((6000, 4000)))
    Image.fromarray(ramp.astype(np.uint16) * 257).save(photo, compress_level=1)
    before = photo.read_bytes()
    done = limited(_LITTLE_MEMORY.format(megabytes << 20), "colorize", photo, "-o", out)
    if done.returncode:
        fails_in_one_line(done, "memory")
        assert not out.exists() or not list(out.iterdir())
    else:
        Image.open(out / "large-color.png").load()
    assert done.returncode == 1 or megabytes > 1000
    assert photo.read_bytes() == before


@whole_suite
def test_too_little_memory_for_a_photograph_over_http(tmp_path):
    picture = tmp_path / "large.png"
    Image.linear_gradient("L").resize((9000, 7000)).save(picture, compress_level=1)
    command = [sys.executable, "-c", _LITTLE_MEMORY.format(3_600 << 20) + START, "serve"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--data", str(tmp_path / "jobs")],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = address_of(process)
        with httpx.Client(base_url=address, timeout=120) as client:
            answer = client.post("/v1/colorize?detail=1024", content=picture.read_bytes())
            assert answer.status_code in (200, 422), answer.text
            cat = client.post("/v1/colorize", content=(SAMPLES / "cat.jpg").read_bytes())
            assert cat.status_code == 200, cat.text
        process.send_signal(signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
