"""Folders: nothing lost, nothing done twice, whatever happens meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import COMMAND, fails_in_one_line, retint_here
from retint.colorizer import Colorizer
from retint.journal import Journal
from retint.many import Request, Run
from retint.places import HERE
from retint.plan import Task
from retint.whole import partial_path

pytestmark = pytest.mark.usefixtures("same_date")


def test_what_is_done_is_not_done_again_unless_it_changed(scans, tmp_path, colour_photo):
    out = tmp_path / "out"
    assert retint_here("colorize", scans, "-o", out).returncode == 0
    assert "16 done before" in retint_here("colorize", scans, "-o", out).stderr
    Image.fromarray(colour_photo[100:200, :100]).convert("L").save(scans / "16.jpg")
    (out / "02-color.jpg").unlink()
    again = retint_here("colorize", scans, "-o", out)
    assert "2 coloured, 0 failed, 0 skipped, 15 done before" in again.stderr
    other = retint_here("colorize", scans, "-o", out, "--strength", 0.5)
    assert other.returncode == 1
    assert other.stderr.count("exists: add --overwrite") == 17


def test_a_second_set_of_results_does_not_make_the_first_forgotten(scans, tmp_path):
    def run(*options):
        return retint_here("colorize", scans / "old", "-o", tmp_path / "out", *options)

    for options in (("--format", "tiff"), ("--format", "webp"), ("--samples", 2)):
        assert run(*options).returncode == 0
    for options in (("--format", "tiff"), ("--format", "webp"), ("--samples", 2)):
        done = run(*options)
        assert done.returncode == 0, done.stderr
        assert "8 done before" in done.stderr
    assert run("--format", "webp", "--strength", 0.5, "--overwrite").returncode == 0
    assert "8 done before" in run("--format", "tiff").stderr
    assert run("--format", "webp").stderr.count("exists: add --overwrite") == 8


def test_results_of_photographs_that_changed_are_kept_by_a_run_that_goes_on(scans, tmp_path):
    out = tmp_path / "out"
    command = ("colorize", scans / "old", "-o", out)
    assert retint_here(*command).returncode == 0
    journal = out / "retint-journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # as if stopped before its end
    before = (out / "01-color.jpg").read_bytes()
    (scans / "old" / "01.jpg").write_bytes((scans / "00.jpg").read_bytes())
    done = retint_here(*command)
    fails_in_one_line(done, "01-color.jpg exists: add --overwrite")
    assert "7 done before" in done.stderr
    assert (out / "01-color.jpg").read_bytes() == before


def test_a_new_run_has_not_begun_what_the_last_one_did(scans, tmp_path):
    def task(name):
        return Task(scans / name, (tmp_path / f"{name}-1.jpg", tmp_path / f"{name}-2.jpg"))

    first = Journal(tmp_path / "journal.jsonl", {})
    first.record([task("00.jpg")])
    first.finish()
    second = Journal(tmp_path / "journal.jsonl", {})
    second.record([task("02.jpg")])
    assert not second.was_begun(task("00.jpg"))
    third = Journal(tmp_path / "journal.jsonl", {})  # the second was stopped
    assert third.was_begun(task("02.jpg"))
    assert not third.was_begun(task("00.jpg"))


def test_the_journal_is_on_the_disk_before_the_result(scans, tmp_path, monkeypatch):
    hot = tmp_path / "hot"
    hot.mkdir()
    shutil.copy(scans / "00.jpg", hot)
    done = []
    for name, do in (("fsync", os.fsync), ("replace", os.replace)):
        monkeypatch.setattr(
            os, name, lambda *given, name=name, do=do: (done.append(name), do(*given))
        )
    assert retint_here("colorize", hot, "-o", tmp_path / "out").returncode == 0
    assert done == ["fsync", "fsync", "replace", "fsync"]  # journal, result, end of the journal


def test_what_a_killed_run_left_and_cannot_be_removed_ends_no_run(scans, tmp_path):
    target = tmp_path / "out" / "00-color.jpg"
    partial_path(target).mkdir(parents=True)  # a folder: not even root may unlink it
    assert retint_here("colorize", scans / "00.jpg", "-o", target.parent).returncode == 0
    assert target.exists()


def test_half_a_line_of_a_journal_is_cut_off_with_the_next_that_is_written(scans, tmp_path):
    out = tmp_path / "out"
    command = ("colorize", scans / "old", "-o", out)
    assert retint_here(*command).returncode == 0
    journal = out / "retint-journal.jsonl"
    torn = b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]) + b'{"sou'
    journal.write_bytes(torn)
    assert "8 done before" in retint_here(*command, "--dry-run").stderr
    assert journal.read_bytes() == torn
    assert "8 done before" in retint_here(*command).stderr
    lines = journal.read_bytes().splitlines()
    assert lines[:-1] == torn.splitlines()[:-1]
    assert "finished" in json.loads(lines[-1])


def test_a_photograph_that_is_named_twice_is_coloured_once(scans, tmp_path):
    one = scans / "00.jpg"
    done = retint_here("colorize", one, scans, one, "-o", tmp_path / "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "16 to be coloured, 0 failed" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_two_runs_at_once_do_not_meet(scans, tmp_path):
    out = tmp_path / "out"
    command = ("colorize", scans / "old", "-o", out)
    with HERE.held(out / "retint-journal.jsonl"):
        fails_in_one_line(retint_here(*command), f"another run is at work in {out}")
        assert retint_here(*command, "--dry-run").returncode == 0
        assert retint_here(*command, "--shard", "1/2").returncode == 0
    assert retint_here(*command, "--overwrite").returncode == 0


def test_shards_share_the_work_without_overlap(scans, tmp_path):
    out = tmp_path / "out"
    counts = []
    for index in (1, 2, 3):
        assert retint_here("colorize", scans, "-o", out, "--shard", f"{index}/3").returncode == 0
        counts.append(len(list(out.rglob("*.jpg"))))
    assert counts == sorted(set(counts))
    assert counts[-1] == 16
    fails_in_one_line(retint_here("colorize", scans, "-o", out, "--shard", "4/3"), "i/n")


def test_names_that_collide_fall_to_one_shard(scans):
    for photo in scans.glob("*.jpg"):
        photo.with_suffix(".pgm").write_bytes(b"")
    lines = ""
    for index in (1, 2):
        shard = ("--shard", f"{index}/2")
        lines += retint_here("colorize", scans, "--format", "tiff", *shard, "--dry-run").stderr
    assert lines.count("would both be written to") == 8


def test_a_dry_run_writes_nothing(scans, tmp_path):
    done = retint_here("colorize", scans, "-o", tmp_path / "out", "--dry-run")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 16
    assert not (tmp_path / "out").exists()
    fails_in_one_line(
        retint_here("colorize", scans, "-o", tmp_path / "out", "--dry-run", "--watch"), "--watch"
    )


def test_a_dry_run_tells_what_the_run_would_tell(scans, tmp_path, colour_photo):
    (scans / "broken.jpg").write_bytes((scans / "00.jpg").read_bytes()[:2000])
    Image.fromarray(colour_photo).save(scans / "colours.png")
    out = tmp_path / "out"
    assert retint_here("colorize", scans / "02.jpg", "-o", out).returncode == 0
    command = ("colorize", scans, "-o", out)
    dry, done = retint_here(*command, "--dry-run"), retint_here(*command)
    assert (dry.stdout, dry.returncode) == (done.stdout, done.returncode)
    assert "15 coloured, 2 failed, 1 skipped" in done.stderr
    assert dry.stderr.replace("to be coloured", "coloured") == done.stderr
    replaced = retint_here(*command, "--overwrite", "--dry-run")
    assert "16 to be coloured, 1 failed, 1 skipped" in replaced.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("deep.jfif",), "retint writes no files that end in '.jfif': add --format"),
        (("deep.png", "--hint", "99999,1,#ff0000"), "outside the photograph"),
        (("00.jpg", "--strength", "nan"), "strength nan is not a number"),
        (("deep.png", "-o", "deep.jpg"), "has lost 16 bits"),
    ],
)
def test_a_dry_run_tells_of_one_photograph_what_the_run_would_tell(
    scans, monkeypatch, options, words
):
    monkeypatch.chdir(scans)
    with Image.open("00.jpg") as page:
        Image.fromarray(np.asarray(page).astype(np.uint16) * 257).save("deep.png")
    shutil.copy("00.jpg", "deep.jfif")
    dry, done = (retint_here("colorize", *options, *more) for more in (("--dry-run",), ()))
    assert words in dry.stderr
    assert (dry.stdout, dry.stderr) == (done.stdout, done.stderr)
    assert dry.returncode == done.returncode


def test_a_report_shows_what_became_of_all(scans, tmp_path, colour_photo, monkeypatch):
    monkeypatch.setattr("retint.progress._LINE_EVERY", -1)  # as if each took long
    (scans / "broken.jpg").write_bytes(b"no picture")
    Image.fromarray(colour_photo).save(scans / "colours.png")
    page = tmp_path / "run.html"
    done = retint_here("colorize", scans, "-o", tmp_path / "out", "--report", page)
    assert done.returncode == 1
    assert "thumbnails: 16 of 16" in done.stderr
    text = page.read_text()
    assert "16 coloured, 1 failed, 1 left alone" in text
    assert "broken.jpg is not a picture" in text
    assert text.count("<img") == 32
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert len(lines) == 18
    assert sum(line["error"] is not None for line in lines) == 1
    fails_in_one_line(
        retint_here("colorize", scans, "-o", tmp_path / "other", "--report", page),
        "run.html exists",
    )


def test_a_report_of_a_run_that_goes_on_counts_each_photograph_once(scans, tmp_path):
    (scans / "old" / "broken.jpg").write_bytes(b"no picture")
    out, page = tmp_path / "out", tmp_path / "run.html"
    command = ("colorize", scans / "old", "-o", out, "--report", page)
    page.with_suffix(".jsonl").touch()  # of a run that ended before its first photograph
    assert "8 coloured, 1 failed" in retint_here(*command).stderr
    journal = out / "retint-journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # as if stopped before its end
    (out / "01-color.jpg").unlink()
    assert "1 coloured, 1 failed, 0 skipped, 7 done before" in retint_here(*command).stderr
    text = page.read_text()
    assert "8 coloured, 1 failed, 0 left alone" in text
    assert text.count("broken.jpg is not a picture") == 1
    assert text.count("<img") == 16
    for own in ("no lines of a report\n", '{"source": "a"}\n', '{"id": 1}\n{"id": 2}', "[]\n"):
        journal.write_text("".join(lines[:-1]))
        page.with_suffix(".jsonl").write_text(own)
        fails_in_one_line(retint_here(*command), "run.jsonl is no list of a report", "move it away")
        assert page.with_suffix(".jsonl").read_text() == own


def test_a_run_that_goes_on_leaves_a_page_that_is_not_its_own(scans, tmp_path):
    command = ("colorize", scans / "old", "-o", tmp_path / "out")
    assert retint_here(*command).returncode == 0
    journal = tmp_path / "out" / "retint-journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # as if stopped before its end
    page = tmp_path / "index.html"
    page.write_text("my own")
    fails_in_one_line(retint_here(*command, "--report", page), "index.html exists", "--overwrite")
    assert page.read_text() == "my own"
    assert retint_here(*command, "--report", page, "--overwrite").returncode == 0
    assert "8 coloured, 0 failed" in page.read_text()


def test_a_report_may_have_the_longest_name_there_is(scans, tmp_path):
    page = tmp_path / f"{'r' * 249}.html"  # its JSON lines have 255 characters
    assert retint_here("colorize", scans / "00.jpg", "--report", page).returncode == 0
    assert "1 coloured" in page.read_text()
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {".html", ".jsonl"}


def test_a_report_is_no_folder(scans, tmp_path):
    done = retint_here("colorize", scans / "00.jpg", "--report", tmp_path)
    fails_in_one_line(done, f"{tmp_path} is a folder", "report.html")


def test_a_single_photograph_is_not_watched(scans):
    fails_in_one_line(retint_here("colorize", scans / "00.jpg", "--watch"), "--watch", "folders")


def test_a_folder_that_is_not_there_is_not_watched(tmp_path):
    done = retint_here("colorize", tmp_path / "hto", "-o", tmp_path / "out", "--watch")
    fails_in_one_line(done, "--watch", "folders that are there")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "out.jpg"), "out.jpg is one file"),
        (("--hint", "1,1,#ff0000"), "--hint belongs to one photograph"),
        (("--hints", "hints.png"), "--hints belongs to one photograph"),
    ],
)
def test_what_is_for_one_photograph_is_not_for_a_hot_folder(tmp_path, options, words):
    hot = tmp_path / "hot"
    hot.mkdir()
    command = [*COMMAND, "colorize", hot, "--watch", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    fails_in_one_line(done, words)
    assert list(tmp_path.rglob("*")) == [hot]


def test_a_folder_for_results_that_is_a_file_is_told_in_a_line(scans, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.touch()
    for photographs in (scans, scans / "00.jpg"):
        done = retint_here("colorize", photographs, "-o", notes)
        fails_in_one_line(done, "notes.txt is a file", "name a folder with -o")


def test_a_result_that_appears_meanwhile_is_told_as_one_that_was_there(
    scans, tmp_path, monkeypatch
):
    target, colorize = tmp_path / "a.jpg", Colorizer.colorize_photo

    def late(*given, **options):
        target.write_text("another's")
        return colorize(*given, **options)

    monkeypatch.setattr(Colorizer, "colorize_photo", late)
    done = retint_here("colorize", scans / "00.jpg", "-o", target)
    fails_in_one_line(done, "a.jpg exists: add --overwrite")
    assert target.read_text() == "another's"


def test_a_name_that_leaves_no_room_for_the_results_stops_nothing(scans, tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    shutil.copy(scans / "00.jpg", folder)
    shutil.copy(scans / "00.jpg", folder / f"{'n' * 250}.jpg")
    done = retint_here("colorize", folder, "-o", tmp_path / "out")
    fails_in_one_line(done, "n-color.jpg cannot be written: File name too long")
    assert (tmp_path / "out" / "00-color.jpg").exists()
    fails_in_one_line(retint_here("n" * 300), "no command, file or folder")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nobody keeps root out")
def test_a_folder_that_may_not_be_entered_is_told(scans, tmp_path):
    (scans / "old").chmod(0o444)
    try:
        done = retint_here("colorize", scans, "-o", tmp_path / "out")
    finally:
        (scans / "old").chmod(0o755)
    assert "old cannot be read" in done.stderr
    assert "8 coloured, 1 failed" in done.stderr


def test_links_that_go_round_are_told(scans, tmp_path):
    (scans / "old" / "round").symlink_to(scans, target_is_directory=True)
    (scans / "dangling.jpg").symlink_to(scans / "nowhere.jpg")
    done = retint_here("colorize", scans, "-o", tmp_path / "out")
    assert "round leads to a folder that is coloured already" in done.stderr
    assert "dangling.jpg does not exist" in done.stderr
    assert "16 coloured, 2 failed" in done.stderr


def test_a_hot_folder(scans, tmp_path, colour_photo):
    hot, out = tmp_path / "hot", tmp_path / "out"
    hot.mkdir()
    process = subprocess.Popen(
        [*COMMAND, "colorize", hot, "-o", out, "--watch"], stderr=subprocess.PIPE
    )
    try:
        slow = hot / "slow.jpg"
        data = (scans / "00.jpg").read_bytes()
        slow.write_bytes(data[:1000])  # on its way
        shutil.copy(scans / "02.jpg", hot)
        deadline = time.monotonic() + 300
        while not (out / "02-color.jpg").exists():
            assert time.monotonic() < deadline
            with slow.open("ab") as file:
                file.write(data[slow.stat().st_size : slow.stat().st_size + 10])
            time.sleep(0.03)
        slow.with_suffix(".part").write_bytes(data)
        slow.with_suffix(".part").replace(slow)
        while not (out / "slow-color.jpg").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_a_hot_folder_is_watched_in_any_thread_until_it_is_told_to_stop(scans, tmp_path):
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    request = Request([scans / "old"], tmp_path / "out")
    with ThreadPoolExecutor(1) as threads:
        watching = threads.submit(
            Run(request, tell=lambda _: stop.set(), warn=pytest.fail).watch, stop
        )
        watching.result(60)
    assert list((tmp_path / "out").glob("*.jpg"))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_watch_that_fails_gives_the_signals_back(scans, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    (tmp_path / "retint-journal.jsonl").write_text("no journal\n")
    fails_in_one_line(retint_here("colorize", scans, "-o", tmp_path, "--watch"), "no journal")
    assert signal.getsignal(signal.SIGINT) is before


def test_sepia_is_taken_out_and_colours_come_from_the_model(tmp_path, colour_photo):
    grey = np.asarray(Image.fromarray(colour_photo[:200, :200]).convert("L")).astype(float)
    sepia = (grey[:, :, None] / 255) ** np.array([0.8, 1.0, 1.3]) * np.array([250, 235, 200])
    Image.fromarray(sepia.astype(np.uint8)).save(tmp_path / "sepia.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "grey.png")
    for name, options in (("sepia", ()), ("grey", ()), ("sepia", ("--keep-tone",))):
        target = tmp_path / f"{name}{''.join(options)}.tif"
        done = retint_here("colorize", tmp_path / f"{name}.png", *options, "-o", target)
        assert done.returncode == 0, done.stderr
        assert target.exists(), done.stderr
    sepia_colored, grey_colored = (
        np.asarray(Image.open(tmp_path / f"{name}.tif")).astype(int) for name in ("sepia", "grey")
    )
    kept = np.asarray(Image.open(tmp_path / "sepia--keep-tone.tif")).astype(int)
    # No brown veil: the mean colours of both lie together, unlike those of the sepia print.
    assert np.abs((sepia_colored - grey_colored).mean((0, 1)) @ [1, -1, 0]) < 6
    assert (sepia_colored != kept).any()


def test_a_report_holds_what_was_done_before(scans, tmp_path):
    out = tmp_path / "out"
    assert retint_here("colorize", scans, "-o", out).returncode == 0
    done = retint_here("colorize", scans, "-o", out, "--report", tmp_path / "run.html")
    assert "16 done before" in done.stderr
    assert "16 coloured, 0 failed" in (tmp_path / "run.html").read_text()
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert {Path(line["written"][0]).is_file() for line in lines} == {True}
    assert {line["note"] for line in lines} == {"done before"}


def test_results_of_another_run_are_coloured_anew_only_when_asked(scans, tmp_path):
    """Else those that lie elsewhere below the folder would become cat-color-color.jpg."""
    assert retint_here("colorize", scans / "00.jpg", "-o", scans / "sky.jpg").returncode == 0
    done = retint_here("colorize", scans, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"{scans / 'sky.jpg'} was coloured by retint: name it" in done.stderr
    assert "16 coloured, 0 failed, 1 skipped" in done.stderr
    assert not (tmp_path / "out" / "sky-color.jpg").exists()
    named = retint_here("colorize", scans / "sky.jpg", "-o", tmp_path / "named.jpg")
    assert "is coloured anew" in named.stderr
    assert retint_here("colorize", scans, "-o", tmp_path / "all", "--recolor").returncode == 0
    assert (tmp_path / "all" / "sky-color.jpg").exists()
