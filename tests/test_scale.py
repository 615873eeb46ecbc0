"""Many processes, and URLs: the same files as from one machine, whatever dies."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from commands import COMMAND, SAMPLES, START, contents, fails_in_one_line, retint_here

pytest.importorskip("ray", reason="needs the scale extra")

from ray.exceptions import RayActorError

from retint.batch import Manner, Outcome
from retint.errors import RetintError
from retint.plan import Task
from retint.scale.cluster import Cluster, _Crew
from retint.scale.urls import Urls
from retint.scale.work import colorize_task

COUNT = 10
RAY = ("--engine", "ray", "--workers", 2)
pytestmark = pytest.mark.usefixtures("same_date")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with Cluster(workers=2).connected():
        yield


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder of ten grey photographs, two levels deep, one in a format without metadata."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "old").mkdir()
    samples = sorted(SAMPLES.glob("*.jpg"))
    for number in range(COUNT):
        with Image.open(samples[number % len(samples)]) as image:
            grey = image.convert("L").resize((640 + number, 480))
        grey.save(folder / ("old" if number % 2 else ".") / f"{number:02d}.jpg")
    grey.save(folder / "old" / "last.jp2")
    (folder / "old" / "last.jp2.xmp").write_text("no packet")
    return folder


@pytest.fixture(scope="module")
def plain(scans, tmp_path_factory):
    """What the one-machine run makes of them."""
    out = tmp_path_factory.mktemp("plain") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        assert retint_here("colorize", scans, "-o", out).returncode == 0
    return contents(out)


def workers(process: int, at: str) -> list[int]:
    """Processes of the Ray that a process has started, by what they are at."""
    lines = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,command="], capture_output=True, text=True
    ).stdout.splitlines()
    rows = [line.split(None, 2) for line in lines]
    parents = {pid: parent for pid, parent, _ in rows}
    return [
        int(pid)
        for pid, parent, command in rows
        if command.startswith(at) and parents.get(parent) == str(process)
    ]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def killer(times: int) -> Iterator[list[int]]:
    """Kill workers with a photograph in hand, so often; give who was killed."""
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        while len(killed) < times and not stop.wait(0.02):
            for pid in workers(os.getpid(), "ray::_Worker.color")[:1]:
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_the_same_files_as_from_one_machine_and_nothing_is_done_twice(scans, plain, tmp_path):
    out, page = tmp_path / "out", tmp_path / "run.html"
    done = retint_here("colorize", scans, "-o", out, *RAY, "--report", page)
    assert done.returncode == 0, done.stderr
    assert contents(out) == plain
    assert len(done.stdout.splitlines()) == COUNT + 2  # and the report
    assert page.read_text().count("<img") == 2 * (COUNT + 1)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert times[out / "00-color.jpg"] == (scans / "00.jpg").stat().st_mtime_ns
    for options in (RAY, ()):  # either engine goes on with what the other has done
        again = retint_here("colorize", scans, "-o", out, *options)
        assert again.returncode == 0
        assert "0 coloured, 0 failed, 0 skipped, 11 done before" in again.stderr
    other = retint_here("colorize", scans, "-o", out, *RAY, "--strength", 0.5)
    assert other.returncode == 1
    assert other.stderr.count("exists: add --overwrite") == COUNT + 1
    assert contents(out) == plain


def test_killed_workers_lose_nothing_and_double_nothing(scans, plain, tmp_path):
    out = tmp_path / "out"
    with killer(2) as killed:
        done = retint_here("colorize", scans, "-o", out, *RAY)
    assert killed
    assert done.returncode == 0, done.stderr
    assert contents(out) == plain
    written = [line for line in done.stdout.splitlines() if " -> " in line]
    assert len(written) == len(set(written)) == COUNT + 1


def test_a_photograph_that_ends_its_workers_is_named(scans, tmp_path):
    large = tmp_path / "in" / "large.png"
    large.parent.mkdir()
    with Image.open(scans / "00.jpg") as image:
        image.resize((4000, 3000)).save(large)
    out = tmp_path / "out"
    with killer(3) as killed:
        done = retint_here("colorize", large.parent, "-o", out, *RAY)
    assert len(killed) == 3
    assert done.returncode == 1
    assert "large.png ended 3 workers" in done.stderr
    assert not list(out.rglob("*.png"))
    assert not list(out.rglob(".*"))  # nor anything half written


def test_a_killed_run_goes_on_and_bad_photographs_are_named(scans, plain, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(scans, photos)
    (photos / "broken.jpg").write_bytes(b"no picture")
    process = subprocess.Popen(
        [*COMMAND, "colorize", photos, "-o", out, *map(str, RAY)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.readline()
    orphans = workers(process.pid, "ray::_Worker")
    assert orphans
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(map(alive, orphans)):  # Ray ends them
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert 0 < len(list(out.rglob("*.jpg"))) < COUNT
    done = retint_here("colorize", photos, "-o", out, *RAY)
    assert done.returncode == 1
    assert "broken.jpg is not a picture" in done.stderr
    assert "1 failed" in done.stderr
    assert contents(out) == plain


def test_urls(scans, plain, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out put"
    shutil.copytree(scans, photos)
    (photos / "broken.jpg").write_bytes(b"no picture")
    command = ("colorize", photos.as_uri(), "-o", f"file://{out}", *RAY)
    dry = retint_here(*command, "--dry-run")
    assert f"{photos.as_uri()}/broken.jpg is not a picture" in dry.stderr
    assert f"file://{out}/old/01-color.jpg" in dry.stdout
    assert "11 to be coloured, 1 failed" in dry.stderr
    assert not out.exists()
    with killer(1) as killed:
        done = retint_here(*command)
    assert killed
    assert done.returncode == 1
    assert f"{photos.as_uri()}/broken.jpg is not a picture" in done.stderr
    assert f"file://{out}/old/01-color.jpg" in done.stdout
    assert contents(out) == plain
    again = retint_here(*command)
    assert "0 coloured, 1 failed, 0 skipped, 11 done before" in again.stderr
    (photos / "00.jpg").write_bytes((photos / "02.jpg").read_bytes())
    changed = retint_here(*command)
    assert "00-color.jpg exists: add --overwrite" in changed.stderr
    replaced = retint_here(*command, "--overwrite", "--format", "png", "--seed", 3)
    assert "11 coloured, 1 failed" in replaced.stderr
    assert len(list(out.rglob("*.png"))) == COUNT + 1
    assert not list(out.rglob("*partial*"))


def test_results_beside_or_above_photographs_at_a_url_hide_none():
    from upath import UPath

    folder = UPath("memory://scans/in")
    for name in ("a.jpg", "b/c.jpg", "out/d.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    for out, count in ((folder / "out", 2), (folder, 3), (folder.parent, 3), (None, 3)):
        found = Urls([folder], out).photographs(folder, out, [])
        assert len(found) == count


def test_an_empty_store_is_told_in_a_line_with_shards_too(tmp_path, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(MemoryFileSystem, "store", {})
    done = retint_here("colorize", "memory://", "-o", tmp_path, "--shard", "1/1", *RAY)
    fails_in_one_line(done, "memory://")


def test_a_temporary_folder_without_room_is_told(monkeypatch):
    from upath import UPath

    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("retint.scale.work.TemporaryDirectory", full)
    task = Task(UPath("memory://a.jpg"), (UPath("memory://out/a.jpg"),))
    error = colorize_task(task, None, Manner()).error
    assert "a.jpg finds no room in the temporary folder: No space left" in error


class Hired:
    """Stands for a worker: it starts or not, and does its first photographs or dies at them."""

    def __init__(self, cannot_start=None, dies=False):
        self.is_ready = self.color = self
        self._ends = [cannot_start, RayActorError() if dies else None]

    def remote(self, tasks=(), _=False):
        future, error = Future(), self._ends.pop(0)
        if error is None:
            self._ends.append(None)
            future.set_result([Outcome(task) for task in tasks])
        else:
            future.set_exception(error)
        return SimpleNamespace(future=lambda: future)


REFUSED = RayActorError(None, "in its creation:\nretint.errors.RetintError: no", True)


@pytest.mark.parametrize("error", [REFUSED, RayActorError()], ids=["refused", "killed"])
@pytest.mark.parametrize("first", ["one that dies", "one that cannot start"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_machine_where_no_worker_starts_ends_no_run_of_others(
    monkeypatch, caplog, error, first, alone
):
    monkeypatch.setattr("ray.kill", lambda _: None)
    waiting = [Hired(dies=True) if first == "one that dies" else Hired(cannot_start=error)]
    waiting += [] if alone else [Hired()]
    hired = []

    def hire():
        hired.append(waiting.pop(0) if waiting else Hired(cannot_start=error))
        return hired[-1]

    tasks = [Task(Path(f"{number}.jpg"), ()) for number in range(40)]
    crew = _Crew(hire, len(waiting))
    if alone:
        with pytest.raises(RetintError, match="a worker cannot start"):
            list(crew.do(tasks))
    else:
        done = [outcome.task for outcome in crew.do(tasks)]
        assert sorted(map(str, done)) == sorted(map(str, tasks))
        assert caplog.text.count("a worker cannot start") == 1
    assert len(hired) < 8


def test_what_makes_no_sense_is_refused_in_a_line(scans, tmp_path):
    out = ("-o", tmp_path / "out")
    url = scans.as_uri()
    fails_in_one_line(retint_here("colorize", url, *out), url, "needs --engine ray")
    fails_in_one_line(retint_here("colorize", scans, *out, "--workers", 2), "needs --engine ray")
    fails_in_one_line(retint_here("colorize", scans, *out, *RAY, "--watch"), "--watch")
    fails_in_one_line(
        retint_here("colorize", scans, *out, *RAY, "--hint", "1,1,#ff0000"), "--hint", "ray"
    )
    nowhere = retint_here("colorize", "nosuch://photos", *out, *RAY)
    fails_in_one_line(nowhere, "nosuch://photos cannot be opened")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_a_line_says_what_to_install(scans, tmp_path):
    code = "import sys; sys.modules['ray'] = None; " + START
    done = subprocess.run(
        [sys.executable, "-c", code, "colorize", scans, "-o", tmp_path / "out", "--engine", "ray"],
        capture_output=True,
        text=True,
    )
    fails_in_one_line(done, "scale extra", "pip install")
