"""Killed at any moment, again and again: whole files only, and the end as if nothing had been.

Folders of photographs, films, jobs of the service, surveys and their building, training. One kill
of each, at a chosen moment, is tried beside the tests of each; here the moments are drawn.
"""

import io
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from commands import retint
from faults.rounds import rounds, whole_suite
from retint.whole import partial_path
from serving import address_of
from serving import command as service

SAMPLES = Path(__file__).parent.parent.parent / "samples"
COMMAND = [sys.executable, "-c", "from retint.cli import main; main()"]


@pytest.fixture(autouse=True)
def same_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")


@pytest.fixture
def chance():
    return random.Random(1)


def killed(seconds, *arguments):
    """Run the command, for so long at most; whether it was killed."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, said
    return False


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.suffix != ".jsonl"
    }


def test_a_killed_run_goes_on_and_ends_like_an_uninterrupted_one(scans, tmp_path, chance):
    whole, stopped = tmp_path / "whole", tmp_path / "killed"
    assert retint("colorize", scans, "-o", whole).returncode == 0
    done_when_killed = []
    for _ in range(rounds(5, 60)):
        process = subprocess.Popen(
            [*COMMAND, "colorize", scans, "-o", stopped],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if chance.random() < 0.8:  # somewhere in the work, not in the start before it
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
        else:
            time.sleep(chance.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in stopped.rglob("[!.]*.jpg"):
            Image.open(path).load()
        done_when_killed.append(len(list(stopped.rglob("[!.]*.jpg"))))
        if done_when_killed[-1] == 16:
            shutil.rmtree(stopped)
    last = retint("colorize", scans, "-o", stopped)
    assert last.returncode == 0, last.stderr
    assert contents(stopped) == contents(whole)
    assert any(0 < count < 16 for count in done_when_killed)


@whole_suite
def test_a_killed_run_that_replaces_leaves_old_or_new_results(scans, tmp_path, chance):
    out, again = tmp_path / "out", ("--overwrite", "--strength", "0.5")
    assert retint("colorize", scans, "-o", out).returncode == 0
    old = contents(out)
    assert retint("colorize", scans, "-o", tmp_path / "new", "--strength", "0.5").returncode == 0
    new = contents(tmp_path / "new")
    for _ in range(15):
        if not killed(chance.uniform(0.3, 2), "colorize", scans, "-o", out, *again):
            break
        for name, data in contents(out).items():
            assert Path(name).name.startswith(".") or data in (old[name], new[name])
    assert retint("colorize", scans, "-o", out, *again).returncode == 0
    assert contents(out) == new


@whole_suite
def test_a_killed_watch_of_a_folder(scans, tmp_path, chance):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert retint("colorize", scans, "-o", whole).returncode == 0
    for _ in range(15):
        assert killed(chance.uniform(1.5, 4), "colorize", scans, "-o", out, "--watch")
        for path in out.rglob("[!.]*.jpg"):
            Image.open(path).load()
    assert retint("colorize", scans, "-o", out).returncode == 0
    assert contents(out) == contents(whole)


@whole_suite
def test_a_film_killed_at_any_moment(tmp_path, chance):
    pytest.importorskip("av")
    from test_video import packets, pan, planes, write_clip

    frames = [*pan("cat", 14), *pan("coffee", 14), *pan("cat", 14), *pan("coffee", 14)]
    clip = write_clip(tmp_path / "film.mp4", frames, sound="aac")
    whole, resumed = tmp_path / "whole.mp4", tmp_path / "resumed.mp4"
    start = time.monotonic()
    assert not killed(300, "video", clip, "-o", whole)
    usual = time.monotonic() - start
    for _ in range(25):
        if not killed(chance.uniform(0, usual), "video", clip, "-o", resumed):
            break
        assert not resumed.exists()
    assert resumed.exists() or not killed(300, "video", clip, "-o", resumed)
    for one, other in zip(planes(whole), planes(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    assert packets(resumed) == packets(clip)
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "whole.mp4", "resumed.mp4"}


@whole_suite
def test_jobs_of_a_service_killed_at_any_moment(tmp_path, chance):
    cat = (SAMPLES / "cat.jpg").read_bytes()
    files = [("photo", (f"{number}.jpg", cat)) for number in range(15)]
    jobs: set[str] = set()
    finished: set[str] = set()
    for _ in range(12):
        with (
            service(tmp_path) as (process, address),
            httpx.Client(base_url=address, timeout=60) as client,
        ):
            for job in finished:
                assert client.get(f"/v1/jobs/{job}/files/14").status_code == 200
            jobs.add(client.post("/v1/jobs", files=files).json()["id"])
            time.sleep(chance.uniform(0, 3))
            for job in jobs:
                if client.get(f"/v1/jobs/{job}").json()["finished"]:
                    finished.add(job)
            process.send_signal(signal.SIGKILL)
            process.wait()
    with service(tmp_path) as (_, address), httpx.Client(base_url=address, timeout=60) as client:
        single = client.post("/v1/colorize", content=cat).content
        deadline = time.monotonic() + 300
        for job in jobs:
            while not (state := client.get(f"/v1/jobs/{job}").json())["finished"]:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert state["counts"] == {"done": 15}
            assert {client.get(file["result"]).content for file in state["files"]} == {single}
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert folders - {"retint-page"} == jobs


@pytest.mark.parametrize("share", rounds((0.5,), (0.1, 0.5, 0.9)))
def test_what_a_kill_left_of_an_upload_is_removed(tmp_path, share):
    """A service that was killed before it had written the job down."""
    from retint.web.jobs import JobStore
    from retint.web.service import Wish

    store = JobStore(tmp_path, 10)
    kept = store.add([("a.jpg", io.BytesIO(b"x"))], Wish())
    store.close()
    stray, foreign = tmp_path / ("0" * 32), tmp_path / "my photographs"
    for folder in (stray, foreign):
        folder.mkdir()
        cat = (SAMPLES / "cat.jpg").read_bytes()
        (folder / "0.in").write_bytes(cat[: int(share * len(cat))])
    JobStore(tmp_path, 10).close()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {kept, foreign.name}


@whole_suite
def test_a_survey_killed_at_any_moment(photographs, tmp_path, chance):
    big = tmp_path / "photographs"
    big.mkdir()
    for path in photographs.iterdir():
        Image.open(path).resize((300, 280)).save(big / path.name)
    options = ("--practice", 0, "--trials", 12, "--checks", 0, "--port", 0)
    arguments = ("survey", "run", big, "-o", tmp_path / "out", *options)
    for _ in range(6):  # while it is built
        assert killed(chance.uniform(0.5, 3), *arguments)
        left = {path.name for path in (tmp_path / "out").glob("*")}
        assert left <= {"pictures", partial_path(Path("pictures"), sole=True).name} | {
            f"answers.sqlite{ending}" for ending in ("", "-wal", "-shm")
        }
    said: list[str] = []
    cookies: dict[str, str] = {}
    for _ in range(6):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        address = address_of(process)
        with httpx.Client(base_url=address, timeout=60) as client:
            client.cookies.update(cookies)
            trial = client.post("/session", json={}).json()["trial"]
            assert trial["number"] == len(said) + 1
            cookies = cookies or dict(client.cookies)
            for number in (len(said) + 1, len(said) + 2):
                side = chance.choice(["left", "right"])
                answer = {"side": side, "milliseconds": 900}
                assert client.post(f"/trials/{number}", json=answer).status_code == 200
                said.append(side)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    from retint.survey.build import open_survey
    from retint.survey.store import read_sessions

    (session,) = read_sessions(open_survey(tmp_path / "out"))
    assert [trial.answer for trial in session.trials] == said


@whole_suite
def test_training_killed_at_any_moment(photographs, tmp_path, chance, monkeypatch):
    import torch
    from safetensors.torch import load_file

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changes = (
        *("data.size=64", "data.batch_size=1", "data.validation=2", "precision=fp32"),
        *("generator.options.width=8", "generator.options.depth=6", "discriminator_width=8"),
        *("stages.0.epochs=3", "checkpoint_steps=2"),
    )
    options = [part for change in changes for part in ("--set", change)]
    command = ("train", photographs, "--recipe", "unet-gan", *options, "--resume", "--out")
    start = time.monotonic()
    assert not killed(580, *command, tmp_path / "whole")
    usual = time.monotonic() - start
    for _ in range(8):
        if not killed(chance.uniform(0.4, 1) * usual, *command, tmp_path / "killed"):
            break
    assert not killed(580, *command, tmp_path / "killed")
    for name in ("generator", "best"):
        one, other = (
            load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "killed")
        )
        assert all(torch.equal(one[key], other[key]) for key in one)
    lines = [(tmp_path / run / "metrics.jsonl").read_text() for run in ("whole", "killed")]
    assert lines[0].count("\n") == lines[1].count("\n")
