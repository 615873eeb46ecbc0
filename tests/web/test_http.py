"""The service as its clients meet it: over a socket, with good manners and with bad ones."""

import asyncio
import base64
import errno
import functools
import gc
import io
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading
import time
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import numpy as np
import pytest
from PIL import Image

from commands import SAMPLES, fails_in_one_line, retint
from retint.errors import RetintError
from retint.web.job_worker import JobWorker
from retint.web.jobs import JobStore
from retint.web.service import BusyError, Result, Service, Wish
from retint.web.settings import Settings
from serving import command, connect, finished, measured, served, talk

CAT = SAMPLES / "cat.jpg"

pytestmark = pytest.mark.usefixtures("same_date")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with served(tmp_path_factory.mktemp("jobs"), most_bytes=2_000_000) as client:
        yield client


def test_the_answer_is_what_the_command_writes(client, tmp_path):
    done = retint("colorize", CAT, "--seed", 2, "--hint", "30,40,#3060c0", "-o", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    options = {"seed": 2, "hint": "30,40,#3060c0", "format": "png"}
    raw = client.post("/v1/colorize", params=options, content=CAT.read_bytes())
    form = client.post("/v1/colorize", params=options, files={"photo": CAT.read_bytes()})
    assert raw.headers["content-type"] == "image/png"
    assert raw.content == form.content == (tmp_path / "a.png").read_bytes()


def test_json_for_those_who_ask(client):
    answer = client.post(
        "/v1/colorize", content=CAT.read_bytes(), headers={"Accept": "application/json"}
    ).json()
    with Image.open(io.BytesIO(base64.b64decode(answer["picture"]))) as picture:
        assert picture.size == (answer["width"], answer["height"]) == Image.open(CAT).size
    assert answer["provenance"]["model"].startswith("default")
    anything = {"Accept": "application/json, text/plain, */*"}  # as axios has it
    answer = client.post("/v1/colorize", content=CAT.read_bytes(), headers=anything)
    assert answer.headers["content-type"] == "image/jpeg"


def bomb():
    stream = io.BytesIO()
    Image.new("1", (40_000, 40_000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "empty"),
        (b"no picture", 422, "not a picture"),
        (CAT.read_bytes()[:3000], 422, "damaged"),
        (b"%PDF-1.7", 422, "PDF"),
        (b"x" * 2_000_001, 413, "2000000 bytes"),
        (bomb(), 422, "more pixels than retint takes"),
    ],
    ids=["empty", "text", "cut off", "pdf", "large", "bomb"],
)
def test_bad_photographs(client, content, status, words):
    answer = client.post("/v1/colorize", content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "options",
    ["seed=-1", "seed=a", "strength=nan", "hint=1,2", "format=doc", "quality=0", "strength=1e9"],
)
def test_bad_options(client, options):
    answer = client.post(f"/v1/colorize?{options}", content=CAT.read_bytes())
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_an_option_that_there_is_not(client):
    for address in ("/v1/colorize", "/v1/jobs"):
        answer = client.post(f"{address}?strenght=2", files={"photo": CAT.read_bytes()})
        assert answer.status_code == 422
        assert "'strenght'" in answer.json()["error"]
        assert "strength" in answer.json()["error"]


def test_a_photograph_in_colours_only_when_asked(client, colour_photo):
    stream = io.BytesIO()
    Image.fromarray(colour_photo[:100, :100]).save(stream, "PNG")
    assert client.post("/v1/colorize", content=stream.getvalue()).status_code == 422
    asked = client.post("/v1/colorize?recolor=true", content=stream.getvalue())
    assert asked.status_code == 200


def test_pages_that_have_colours_keep_them_as_with_the_command(client, colour_photo, tmp_path):
    colours = Image.fromarray(colour_photo[:120, :160])
    source = tmp_path / "pages.tif"
    colours.convert("L").convert("RGB").save(source, save_all=True, append_images=[colours])
    answer = client.post("/v1/colorize", content=source.read_bytes())
    assert retint("colorize", source, "-o", tmp_path / "a.tif").returncode == 0
    assert answer.content == (tmp_path / "a.tif").read_bytes()
    with Image.open(io.BytesIO(answer.content)) as result:
        result.seek(1)
        assert (np.asarray(result) == np.asarray(colours)).all()


def test_a_page_that_has_colours_is_no_work_where_the_answer_holds_it_alone(client, colour_photo):
    colours, stream = Image.fromarray(colour_photo[:120, :160]), io.BytesIO()
    colours.save(stream, "TIFF", save_all=True, append_images=[colours.convert("L")])
    for query, words in (("format=jpg", "has colours already"), ("hint=1,1,%23ff0000", "recolor")):
        answer = client.post(f"/v1/colorize?{query}", content=stream.getvalue())
        assert answer.status_code == 422
        assert words in answer.json()["error"]
        again = client.post(f"/v1/colorize?{query}&recolor=true", content=stream.getvalue())
        assert again.status_code == 200


def test_lies_in_the_header_and_uploads_that_break_off(client):
    start = b"POST /v1/colorize HTTP/1.1\r\nHost: a\r\n"
    assert b" 413 " in talk(client, start + b"Content-Length: 99999999999\r\n\r\nabc")
    assert b" 400 " in talk(client, start + b"Content-Length: many\r\n\r\n")
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    endless = chunked + b"".join(b"10000\r\n" + b"x" * 0x10000 + b"\r\n" for _ in range(40))
    assert b" 413 " in talk(client, endless)
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(start + b"Content-Length: 1000\r\n\r\nabc")  # and away
    form = start + b"Content-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc"
    assert b" 400 " in talk(client, form)
    assert client.get("/readyz").status_code == 200


def test_a_client_that_leaves_is_no_failure(tmp_path, caplog):
    with served(tmp_path) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(
                b"POST /v1/colorize HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na"
            )
            time.sleep(0.2)
        deadline = time.monotonic() + 60
        while 'status="499"' not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert "failed" not in caplog.text


def test_a_failure_of_the_service_is_its_own(tmp_path, caplog, monkeypatch):
    def fail(_):
        raise ValueError("a bug")

    with served(tmp_path) as client:
        monkeypatch.setattr("retint.web.app.model_facts", fail)
        answer = client.get("/v1/models")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.json()["error"]
    assert "a bug" in caplog.text


def test_slow_clients_are_sent_away(tmp_path):
    with served(tmp_path, seconds=1.0) as client:
        start = b"POST /v1/colorize HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc"
        assert b" 408 " in talk(client, start, pause=1.5)


def test_a_full_queue_says_so_and_empties_again(tmp_path, monkeypatch):
    full, work = threading.Event(), Service.work

    def work_then(*given):
        full.wait(60)
        return work(*given)

    monkeypatch.setattr(Service, "work", work_then)
    with served(tmp_path, workers=1, waiting=1) as client:
        answers = []

        def ask():
            address = f"{client.base_url}/v1/colorize"
            answers.append(httpx.post(address, content=CAT.read_bytes(), timeout=120))
            if answers[-1].status_code == 503:
                full.set()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 503}
        assert all("retry-after" in a.headers for a in answers if a.status_code == 503)
        assert client.post("/v1/colorize", content=CAT.read_bytes()).status_code == 200


def test_a_full_queue_says_so_before_the_upload_and_keeps_nothing_of_who_left(tmp_path):
    go, begun = threading.Event(), threading.Event()

    def work(*_):
        begun.set()
        go.wait(120)

    async def wait_and_leave(service):
        first = asyncio.ensure_future(service.run(work))
        await asyncio.to_thread(begun.wait, 60)
        photograph = np.zeros(1)
        kept = weakref.ref(photograph)
        second = asyncio.ensure_future(service.run(work, photograph))
        del photograph
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        del second
        gc.collect()
        assert kept() is None
        go.set()
        await first

    service = Service([], Settings(data=tmp_path, workers=1))
    asyncio.run(wait_and_leave(service))
    service.close()
    with served(tmp_path, workers=1, waiting=-1) as client:  # full from the beginning
        start = b"POST /v1/colorize HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc"
        assert b" 503 " in talk(client, start)


def test_work_that_nobody_waits_for_is_not_begun(tmp_path, monkeypatch):
    go, begun = threading.Event(), []

    def work(_, data, *__):
        begun.append(data)
        go.wait(120)
        raise RetintError("done")

    monkeypatch.setattr(Service, "work", work)
    with served(tmp_path, workers=1) as client, ThreadPoolExecutor() as pool:
        address = f"{client.base_url}/v1/colorize"
        first = pool.submit(httpx.post, address, content=b"first", timeout=120)
        deadline = time.monotonic() + 60
        while not begun and time.monotonic() < deadline:
            time.sleep(0.02)
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            start = b"POST /v1/colorize HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
            connection.sendall(start + b"second")
            measured(client, "retint_waiting 1.0")
        measured(client, "retint_waiting 0.0")
        measured(client, 'status="499"')
        go.set()
        assert first.result().status_code == 422
        assert client.post("/v1/colorize", content=b"third").status_code == 422
    assert begun == [b"first", b"third"]


def test_a_job_from_upload_to_archive(client):
    tricks = ["../../etc/passwd", "cat.jpg", "cat.jpeg", "/abs/olute.jpg", "b\u00e4r.jpg"]
    files = [("photo", (name, CAT.read_bytes())) for name in tricks] + [("photo", ("t", b"text"))]
    made = client.post("/v1/jobs", files=files)
    assert made.status_code == 202
    job = made.json()["id"]
    assert made.headers["location"] == f"/v1/jobs/{job}"
    events = client.get(f"/v1/jobs/{job}/events").text
    last = json.loads(events.strip().splitlines()[-1].removeprefix("data: "))
    assert last == finished(client, job)
    assert last["counts"] == {"done": 5, "failed": 1}
    assert "not a picture" in last["files"][5]["error"]
    single = client.post("/v1/colorize", content=CAT.read_bytes()).content
    assert client.get(last["files"][1]["result"]).content == single
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job}/archive").content))
    assert archive.namelist() == [
        "001-passwd-color.jpg",
        "002-cat-color.jpg",
        "003-cat-color.jpeg",
        "004-olute-color.jpg",
        "005-b\u00e4r-color.jpg",
    ]
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    for address in ("", "/events", "/archive", "/files/0"):
        assert client.get(f"/v1/jobs/{job}{address}").status_code == 404


def test_results_that_are_removed_while_they_are_fetched(tmp_path):
    with served(tmp_path) as client:
        job = client.post("/v1/jobs", files={"photo": CAT.read_bytes()}).json()["id"]
        finished(client, job)
        shutil.rmtree(tmp_path / job, ignore_errors=True)  # before the job is not known any more
        for address in ("files/0", "archive"):
            answer = client.get(f"/v1/jobs/{job}/{address}")
            assert answer.status_code == 404
            assert "expired" in answer.json()["error"]


def test_an_archive_that_takes_longer_than_uploads_may(tmp_path, monkeypatch):
    write = zipfile.ZipFile.write

    def slow(*given):
        time.sleep(6)
        write(*given)

    with served(tmp_path, seconds=5.0) as client:
        job = client.post("/v1/jobs", files={"photo": CAT.read_bytes()}).json()["id"]
        finished(client, job)
        with monkeypatch.context() as patch:
            patch.setattr(zipfile.ZipFile, "write", slow)
            # Sent in many, as large ones are.
            patch.setattr("retint.web.job_addresses._PIECE", 1000)
            archive = client.get(f"/v1/jobs/{job}/archive").content
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None


def test_jobs_expire(tmp_path):
    with served(tmp_path, keep_seconds=0.0) as client:
        job = client.post("/v1/jobs", files={"photo": CAT.read_bytes()}).json()["id"]
        deadline = time.monotonic() + 60
        while client.get(f"/v1/jobs/{job}").status_code == 200:
            assert time.monotonic() < deadline
            client.post("/v1/jobs", files={"photo": b"x"})  # any work looks for what has expired
            time.sleep(0.2)
        assert not (tmp_path / job).exists()


def test_jobs_survive_a_kill(tmp_path):
    with command("serve", "--data", tmp_path) as (process, address):
        files = [("photo", (f"{n}.jpg", CAT.read_bytes())) for n in range(30)]
        with connect(address) as client:
            job = client.post("/v1/jobs", files=files).json()["id"]
            deadline = time.monotonic() + 60
            while not client.get(f"/v1/jobs/{job}").json()["counts"].get("done"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with command("serve", "--data", tmp_path) as (process, address), connect(address) as client:
        state = finished(client, job)
        assert state["counts"] == {"done": 30}
        pictures = {client.get(file["result"]).content for file in state["files"]}
        assert len(pictures) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_in_work(tmp_path, number):
    large = io.BytesIO()
    with Image.open(CAT) as cat:
        cat.resize((1200, 900)).save(large, "JPEG")
    workers = Settings(data=tmp_path).workers
    count = workers + 3
    with (
        command("serve", "--data", tmp_path) as (process, address),
        ThreadPoolExecutor(count) as pool,
        connect(address) as client,
    ):
        send = functools.partial(httpx.post, content=large.getvalue(), timeout=120)
        answers = [pool.submit(send, f"{address}/v1/colorize") for _ in range(count)]
        deadline, waiting, done = time.monotonic() + 120, 0, 0
        while not waiting or done + workers + waiting < count:  # not all have arrived
            assert time.monotonic() < deadline
            assert done < count
            time.sleep(0.02)
            done = sum(answer.done() for answer in answers)
            metrics = client.get("/metrics").text
            waiting = int(re.search(r"retint_waiting (\d+)", metrics)[1])
        process.send_signal(number)
        assert [answer.result().status_code for answer in answers] == [200] * count
        assert process.wait(60) == 0
        said = process.stderr.read()
        assert "Traceback" not in said
        assert "graceful shutdown exceeded" not in said


def test_who_follows_a_job_does_not_hold_up_the_end(tmp_path):
    files = [("photo", (f"{n}.jpg", CAT.read_bytes())) for n in range(500)]
    with command("serve", "--data", tmp_path) as (process, address):
        job = httpx.post(f"{address}/v1/jobs", files=files, timeout=60).json()["id"]
        with httpx.stream("GET", f"{address}/v1/jobs/{job}/events", timeout=60) as events:
            next(events.iter_lines())
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert "graceful shutdown exceeded" not in process.stderr.read()


def test_a_job_that_another_version_stored_does_not_hold_up_the_others(tmp_path):
    store = JobStore(tmp_path, 3600)
    old, new = (store.add([("a.jpg", CAT)], Wish()) for _ in range(2))
    store.close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
        database.execute("update jobs set wish = '{\"hue\": 1}' where id = ?", (old,))
    with served(tmp_path) as client:
        assert finished(client, new)["counts"] == {"done": 1}
        (file,) = finished(client, old)["files"]
        assert "another version" in file["error"]


def test_a_job_that_is_removed_while_it_is_in_work(tmp_path):
    store = JobStore(tmp_path, 3600)
    done = Result(b"a result", "JPEG", 1, 1, {})
    half, gone = (store.add([("a.jpg", CAT)], Wish()) for _ in range(2))
    shutil.rmtree(tmp_path / half)  # files are removed first
    store.finish(half, 0, done)
    assert "removed" in store.get(half).files[0].error
    store.remove(gone)
    (tmp_path / gone).mkdir()  # what was being written while they were
    store.finish(gone, 0, done)
    assert not (tmp_path / gone).exists()
    store.close()


def test_what_cannot_be_stored_or_looked_up_is_answered_with_507(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "no space left on device")

    with served(tmp_path) as client:
        job = client.post("/v1/jobs", files={"photo": CAT.read_bytes()}).json()["id"]
        finished(client, job)
        with monkeypatch.context() as patch:
            patch.setattr("tempfile.TemporaryFile", full)
            answer = client.get(f"/v1/jobs/{job}/archive")
        assert answer.status_code == 507
        assert "no room" in answer.json()["error"]
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
            database.execute("drop table files")
        assert client.get(f"/v1/jobs/{job}").status_code == 507


def test_two_services_do_not_share_a_folder_of_jobs(tmp_path):
    store = JobStore(tmp_path, 3600)
    coming = tmp_path / ("0" * 32)  # an upload that is not yet written down
    coming.mkdir()
    done = retint("serve", "--data", tmp_path, "--port", 0)
    fails_in_one_line(done, f"{tmp_path} is in use by another service")
    assert coming.exists()
    store.close()
    JobStore(tmp_path, 3600).close()


def test_no_more_jobs_are_taken_than_may_be_open(tmp_path):
    with served(tmp_path / "a", open_jobs=0) as client:
        start = (
            b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=a"
        )
        answer = talk(client, start + b"\r\nContent-Length: 1000\r\n\r\n--a")  # and more to come
        assert b" 503 " in answer
        assert b"retry-after: 60" in answer
    store = JobStore(tmp_path / "b", 3600, most_open=1)

    def add(_):
        try:
            return store.add([("a.jpg", CAT)], Wish())
        except BusyError:
            return None

    with ThreadPoolExecutor(4) as pool:
        jobs = [job for job in pool.map(add, range(8)) if job]
    store.close()
    assert len(jobs) == 1
    assert [path.name for path in (tmp_path / "b").glob("*/")] == jobs


class DyingService:
    """Stands for a process that is killed for its memory: nothing goes on after it."""

    def work(self, *_):
        raise SystemExit


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_photograph_that_ends_the_service_again_and_again_is_given_up(tmp_path):
    store = JobStore(tmp_path, 3600)
    job = store.add([("large.jpg", CAT), ("b.jpg", CAT)], Wish())
    for _ in range(3):
        worker = JobWorker(store, DyingService())
        worker.start()
        worker._thread.join()
    store.close()
    with served(tmp_path) as client:
        large, other = finished(client, job)["files"]
        assert "send it smaller" in large["error"]
        assert other["state"] == "done"


class RefusingService:
    """Colours nothing, which takes no time."""

    def work(self, *_):
        raise RetintError("no")


def test_a_full_disk_is_no_attempt_that_ended_the_service(tmp_path, monkeypatch):
    full = threading.Event()

    def fail(*_):
        full.set()
        raise OSError(errno.ENOSPC, "no space left on device")

    store = JobStore(tmp_path, 3600)
    job = store.add([("a.jpg", CAT)], Wish())
    with monkeypatch.context() as patch:
        patch.setattr(JobStore, "fail", fail)
        for _ in range(4):
            worker = JobWorker(store, RefusingService())
            worker.start()
            assert full.wait(60)
            worker.stop()
            full.clear()
    store.close()
    with served(tmp_path) as client:
        assert finished(client, job)["counts"] == {"done": 1}


def test_a_stored_photograph_that_cannot_be_read_does_not_hold_up_the_others(tmp_path, monkeypatch):
    def read(store, id_, number):
        if number == 0:
            raise OSError(errno.EIO, "Input/output error")
        return CAT.read_bytes()

    monkeypatch.setattr(JobStore, "read", read)
    with served(tmp_path) as client:
        files = [("photo", (name, CAT.read_bytes())) for name in ("a.jpg", "b.jpg")]
        job = client.post("/v1/jobs", files=files).json()["id"]
        broken, other = finished(client, job)["files"]
    assert "cannot be read from the service's folder (Input/output error)" in broken["error"]
    assert other["state"] == "done"


def test_jobs_of_a_version_that_counted_no_attempts(tmp_path):
    store = JobStore(tmp_path, 3600)
    job = store.add([("a.jpg", CAT)], Wish())
    store.close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
        database.execute("alter table files drop column attempts")
    with served(tmp_path) as client:
        assert finished(client, job)["counts"] == {"done": 1}


def test_a_token_is_asked_for(tmp_path):
    with served(tmp_path, token="secret") as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer no"}).status_code == 401
        right = {"Authorization": "Bearer secret"}
        assert client.get("/v1/models", headers=right).json()[0]["name"] == "default"
        assert client.get("/healthz").status_code == 200
    fails_in_one_line(retint("serve", "--host", "0.0.0.0"), "--token")
    fails_in_one_line(retint("serve", "--host", "0.0.0.0", "--token", ""), "--token is empty")


def test_pages_of_other_sites_cannot_send_anything(client):
    photo = {"photo": CAT.read_bytes()}
    for address in ("/v1/jobs", "/v1/colorize", "/gradio_api/upload"):
        answer = client.post(address, files=photo, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "another site" in answer.json()["error"]
    for site in ("same-origin", "none"):
        answer = client.post("/v1/colorize", files=photo, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link


def test_the_log_has_no_names_of_photographs(client, caplog):
    with caplog.at_level("INFO", "retint.web"):
        client.get("/gradio_api/file=/tmp/gradio/0a/grandmother.jpg")
        client.get("/healthz")  # by now the line of the first is written
    lines = [record.getMessage() for record in caplog.records if record.name == "retint.web"]
    (line,) = (line for line in lines if "/gradio_api/file=" in line)
    assert "grandmother" not in line


def test_requests_are_counted_and_named(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    answer = client.get("/healthz", headers={"X-Request-ID": "a\tb"})
    assert len(answer.headers["x-request-id"]) == 32
    client.request("RANDOM", "/healthz")
    metrics = client.get("/metrics").text
    assert 'method="other"' in metrics
    assert "RANDOM" not in metrics
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert 'retint_requests_total{method="GET",status="200"}' in metrics
    assert "retint_waiting 0.0" in metrics


def test_an_address_that_there_is_not(client):
    answer = client.get("/v1/colourise")
    assert answer.status_code == 404
    line, address = answer.json()["error"].split(": see ")
    assert line == "there is no GET /v1/colourise here"
    assert client.get(address).json()["openapi"]
    answer = client.delete("/v1/models")
    assert answer.status_code == 405
    assert answer.json()["error"].startswith("there is no DELETE /v1/models here")


def test_openapi_names_all_there_is(client):
    description = client.get("/openapi.json").json()
    assert {"/v1/colorize", "/v1/jobs", "/v1/models", "/metrics"} <= set(description["paths"])
    assert "hint" in {p["name"] for p in description["paths"]["/v1/colorize"]["post"]["parameters"]}


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = retint("serve", "--port", port, "--data", tmp_path)
        fails_in_one_line(done, str(port), "another --port")


def test_sixteen_bits_and_alpha_come_back(client):
    deep = np.random.default_rng(0).integers(0, 65536, (60, 80)).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(deep).save(stream, "PNG")
    answer = client.post("/v1/colorize", content=stream.getvalue())
    assert answer.content[24] == 16  # the depth, in the first chunk of a PNG
    assert os.path.basename(answer.headers["content-type"]) == "png"  # noqa: PTH119
