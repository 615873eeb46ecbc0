"""The page as a person meets it: in a browser that must not reach anything but the service."""

import io
import json
import re
import signal
import socket
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from commands import SAMPLES, fails_in_one_line, retint
from retint.export import build_generator, export_generator, read_onnx_weights
from retint.model import model_path, open_model
from retint.models import Readout
from retint.training.recipe import load_recipe
from retint.web.darkroom import Darkroom
from retint.web.service import Service
from serving import CHROMIUM, chromium, command, connect, measured, served, talk

CAT = SAMPLES / "cat.jpg"
WAIT = 120_000  # milliseconds: machines are busy at times

pytestmark = pytest.mark.usefixtures("same_date")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed here")


@pytest.fixture(scope="module")
def grey_model(tmp_path_factory):
    """The model that ships, under another name and without its colours."""
    weights = read_onnx_weights(model_path("default"))
    generator = build_generator(load_recipe("default"), weights)
    path = tmp_path_factory.mktemp("models") / "grey.onnx"
    export_generator(
        generator, Readout(gain=0.0), path, {**open_model("default").card, "name": "grey"}
    )
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory, grey_model):
    folder = tmp_path_factory.mktemp("jobs")
    with served(folder, ["default", grey_model], most_bytes=2_000_000) as client:
        yield client


@pytest.fixture(scope="module")
def browser():
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(client, browser):
    """Opens the page, however it is to be seen; in the end, nothing else was asked for."""
    contexts, outside, broken = [], [], []

    def note(message):
        if "Content Security Policy" in message.text:
            outside.append(message.text)

    def go(address="/", **look):
        context = browser.new_context(base_url=str(client.base_url), **look)
        contexts.append(context)
        context.set_default_timeout(WAIT)

        def let(route):
            own = httpx.URL(route.request.url).netloc == client.base_url.netloc
            if own or route.request.url.startswith("data:"):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        context.route("**", let)
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", note)
        page.goto(address)
        page.locator("#drop input[type=file]").wait_for(state="attached")
        return page

    yield go
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")
        context.close()
    assert not outside
    assert not broken


@pytest.fixture
def page(opened):
    return opened(viewport={"width": 1280, "height": 900})


def drop(page, *files, into="#drop"):
    page.locator(f"{into} input[type=file]").set_input_files(list(files))


def after(page, *words, without="nothing"):
    """The picture that is shown, once its address has these words and it is there."""
    page.wait_for_function(
        """([words, without]) => {
            const [stage, image] = [".stage", ".after"].map((s) => document.querySelector(s));
            const address = image.getAttribute("src") ?? "";
            return words.every((word) => address.includes(word)) && !address.includes(without)
                && stage.getAttribute("aria-busy") === "false" && image.naturalWidth;
        }""",
        arg=[["/after", *words], without],
    )
    address = page.locator(".viewer .after").get_attribute("src")
    answer = page.request.get(address)
    with Image.open(io.BytesIO(answer.body())) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def download(page, text):
    with page.expect_download() as coming:
        page.get_by_role("link", name=text).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


@needs_chromium
def test_two_actions_give_what_the_command_writes(page, tmp_path):
    drop(page, CAT)
    after(page)
    name, data = download(page, "Download in full size")
    assert retint("colorize", CAT, "-o", tmp_path / "cat-color.jpg").returncode == 0
    assert name == "cat-color.jpg"
    assert data == (tmp_path / "cat-color.jpg").read_bytes()


@needs_chromium
def test_strength_seed_and_hint_show_and_are_saved(page, tmp_path):
    drop(page, CAT)
    plain = after(page)
    page.get_by_label("Strength").first.fill("0")
    assert np.ptp(after(page, "strength=0"), axis=2).max() <= 2
    page.get_by_label("Strength").first.fill("0.5")
    pale = after(page, "strength=0.5")
    assert 0 < np.ptp(pale, axis=2).mean() < np.ptp(plain, axis=2).mean()
    page.get_by_label("Seed").fill("2")
    after(page, "seed=2")
    page.get_by_label("Click to place colours").check()
    page.locator(".viewer input[type=color]").fill("#2040ff")
    page.locator(".viewer .sheet").click(position={"x": 60, "y": 70})
    blue = after(page, "hint=")
    options = httpx.URL(page.locator(".viewer .after").get_attribute("src")).params
    x, y, _ = options["hint"].split(",")
    spot = np.s_[max(0, int(y) - 3) : int(y) + 4, max(0, int(x) - 3) : int(x) + 4]
    assert (blue[spot][..., 2] - blue[spot][..., 0]).mean() > 20
    assert (pale[spot][..., 2] - pale[spot][..., 0]).mean() < 10
    _, data = download(page, "Download in full size")
    wanted = ("--seed", 2, "--strength", 0.5, "--hint", options["hint"])
    assert retint("colorize", CAT, *wanted, "-o", tmp_path / "a.jpg").returncode == 0
    assert data == (tmp_path / "a.jpg").read_bytes()


@needs_chromium
def test_the_picture_has_the_strength_that_is_written_beside_the_slider(page):
    drop(page, CAT)
    number = page.get_by_label("number input for Strength").first
    number.fill("0.5")
    after(page, "strength=0.5")
    page.get_by_label("Reset to default value").first.click()
    after(page, "strength=1&")
    number.fill("5")
    after(page, "strength=2")
    number.fill("")
    after(page, "strength=1&")
    number.press("Tab")
    after(page, f"strength={number.input_value()}&")
    assert "strength=0&" in page.get_by_role("link", name="Download in").get_attribute("href")


@needs_chromium
def test_a_finger_that_scrolls_places_no_hint_and_one_that_taps_does(opened):
    page = opened(viewport={"width": 390, "height": 600}, has_touch=True)
    drop(page, CAT)
    after(page)
    page.get_by_label("Click to place colours").check()
    box = page.locator(".viewer .sheet").bounding_box()
    finger = page.context.new_cdp_session(page)
    for kind, up in (("Start", 0), ("Move", 30), ("Move", 60), ("End", None)):
        at = {"x": box["x"] + 90, "y": box["y"] + 120 - (up or 0)}
        points = [] if up is None else [at]
        finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    page.locator(".viewer .sheet").tap(position={"x": 30, "y": 30})
    after(page, "hint=")
    page.get_by_role("button", name="Undo hint").click()
    after(page, without="hint=")  # it was the only one


@needs_chromium
def test_an_upright_photograph_fits_a_phone_that_is_turned(opened, tmp_path):
    with Image.open(CAT) as cat:
        cat.resize((300, 500)).save(tmp_path / "upright.jpg")
    page = opened(viewport={"width": 390, "height": 844})
    drop(page, tmp_path / "upright.jpg")
    after(page)
    page.set_viewport_size({"width": 844, "height": 390})
    assert page.locator(".viewer .sheet").bounding_box()["height"] < 390


@needs_chromium
def test_hints_by_keyboard_undone_cleared_saved_and_loaded(page, tmp_path):
    drop(page, CAT)
    after(page)
    page.get_by_label("Click to place colours").check()
    page.locator(".viewer .stage").focus()
    page.keyboard.press("Enter")
    after(page, "hint=225%2C150%2C")  # the middle
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    after(page, "&hint=225%2C150%2C", "&hint=248%2C147%2C")
    name, saved = download(page, "Save hints")
    assert name == "cat-hints.txt"
    assert saved == b"225,150,#3060c0\n248,147,#3060c0\n"
    page.get_by_role("button", name="Undo hint").click()
    after(page, "hint=225%2C150%2C", without="hint=248")
    page.get_by_role("button", name="Clear hints").click()
    after(page, without="hint")
    (tmp_path / "hints.txt").write_bytes(b"\xef\xbb\xbf# the middle\n" + saved)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load hints").click()
    chooser.value.set_files(tmp_path / "hints.txt")
    after(page, "&hint=225%2C150%2C", "&hint=248%2C147%2C")


@needs_chromium
def test_a_variant_is_picked_and_the_slider_moved_by_keyboard(page):
    drop(page, CAT)
    plain = after(page)
    page.get_by_role("button", name="Show variants").click()
    page.get_by_role("button", name="Seed 2").press("Enter")
    assert np.abs(after(page, "seed=2") - plain).mean() > 1
    assert page.get_by_label("Seed").input_value() == "2"
    clip = "document.querySelector('.viewer .after').style.clipPath"
    assert "50%" in page.evaluate(clip)
    page.get_by_label("Before and after").last.press("End")
    assert "100%" in page.evaluate(clip)


@needs_chromium
@pytest.mark.parametrize("how", ["once", "unreached", "refused"])
def test_a_picture_that_does_not_come_is_told_or_asked_for_once_more(page, how):
    asked = []

    def hold_up(route):
        asked.append(route.request.url)
        if how == "refused":
            route.fulfill(status=503, json={"error": "too many wait"})
        elif how == "unreached" or len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.context.route("**/after*", hold_up)
    drop(page, CAT)
    if how == "once":
        page.wait_for_function(
            "document.querySelector('.viewer .after').naturalWidth > 0"
            " && !document.querySelector('.viewer .note').textContent"
        )
        assert page.locator(".viewer .note").inner_text() == ""
    else:
        words = "too many wait" if how == "refused" else "It did not work"
        page.locator(".viewer .note", has_text=words).wait_for()
    assert len(asked) == 2
    page.context.unroute("**/after*", hold_up)
    page.get_by_label("Strength").first.fill("0.5")
    after(page, "strength=0.5")


@needs_chromium
def test_another_model_is_chosen(page, grey_model, tmp_path):
    drop(page, CAT)
    after(page, "model=default")
    page.get_by_label("Model").first.click()
    page.get_by_role("option", name="grey").click()
    assert np.ptp(after(page, "model=grey"), axis=2).max() <= 2
    _, data = download(page, "Download in full size")
    assert retint("colorize", CAT, "--model", grey_model, "-o", tmp_path / "a.jpg").returncode == 0
    assert data == (tmp_path / "a.jpg").read_bytes()
    page.get_by_role("tab", name="What is this?").click()
    page.get_by_role("row", name="Model grey").wait_for()


@needs_chromium
def test_zoom_shows_every_pixel(page, tmp_path):
    with Image.open(CAT) as small:
        small.resize((2400, 1600)).save(tmp_path / "large.jpg")
    drop(page, tmp_path / "large.jpg")
    assert after(page).shape[1] == 1600
    page.get_by_role("button", name="Zoom to 1:1").click()
    assert after(page, "whole=true").shape[:2] == (1600, 2400)
    assert page.locator(".viewer .sheet").bounding_box()["width"] == 2400
    page.get_by_role("button", name="Fit to page").click()
    assert after(page, without="whole").shape[1] == 1600


@needs_chromium
def test_many_come_back_in_one_archive(page, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    drop(page, CAT, SAMPLES / "rocket.jpg", tmp_path / "text.jpg")
    name, data = download(page, "Download all as one archive")
    assert name.startswith("retint-")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.namelist() == ["001-cat-color.jpg", "002-rocket-color.jpg"]
    page.get_by_text("2 of 3 photographs coloured").wait_for()
    page.get_by_role("row", name="text.jpg").get_by_text("not a picture").wait_for()
    assert retint("colorize", CAT, "-o", tmp_path / "a.jpg").returncode == 0
    assert archive.read("001-cat-color.jpg") == (tmp_path / "a.jpg").read_bytes()


@needs_chromium
def test_only_what_is_added_to_many_becomes_a_job(page, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").write_bytes(CAT.read_bytes() + name.encode())
    page.get_by_role("tab", name="Many").click()
    drop(page, tmp_path / "a.jpg", tmp_path / "b.jpg", into="#drop-many")
    page.get_by_text("2 of 2 photographs coloured").wait_for()
    page.get_by_label("Remove this file").first.click()
    page.get_by_label("Remove this file").nth(1).wait_for(state="detached")
    drop(page, tmp_path / "c.jpg", into="#drop-many")
    page.get_by_text("1 of 1 photographs coloured").wait_for()
    rows = page.locator(".batch tbody tr td:first-child").all_inner_texts()
    assert rows == ["c.jpg", "a.jpg", "b.jpg"]
    assert page.get_by_text("Download all as one archive").count() == 2


@needs_chromium
def test_what_cannot_be_used_is_told(page, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    drop(page, tmp_path / "text.jpg")
    page.get_by_text("is not a picture that retint can read").wait_for()
    page.locator("#drop").get_by_text("Drop File Here").wait_for()  # told before it is free again
    from playwright.sync_api import TimeoutError as TooLate

    for _ in range(4):  # as a person would: the page may pass over what is dropped too early
        drop(page, CAT)  # and the page goes on
        with suppress(TooLate):
            page.get_by_text("cat.jpg, ").wait_for(timeout=WAIT / 4)
            break
    after(page)
    page.get_by_label("Seed").fill("-3")
    page.get_by_text("write a whole number").wait_for()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_on_a_phone_with_every_control_named(opened, scheme):
    page = opened(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    drop(page, CAT)
    after(page)
    for tab, there in (
        ("Photograph", page.locator("#drop")),
        ("Many", page.locator("#drop-many")),
        ("What is this?", page.get_by_text("Do not take its colours for evidence")),
    ):
        page.get_by_role("tab", name=tab).click()
        there.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate(NAMELESS) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, dark[4:-1].split(",")[:3])) < 200) == (scheme == "dark")
    page.wait_for_function("document.querySelector('img[alt*=astronaut]')?.naturalWidth > 0")


NAMELESS = """() => [...document.querySelectorAll("input, button, select, textarea, a, img")]
    .filter((control) => control.checkVisibility() && control.type !== "file")
    .filter((control) => {
        const by = control.getAttribute("aria-labelledby");
        return ![control.getAttribute("aria-label"), control.title, control.alt,
            control.innerText, by && document.getElementById(by)?.innerText,
            ...[...(control.labels ?? [])].map((label) => label.innerText)]
            .some((name) => name?.trim()) && control.getAttribute("alt") !== "";
    })
    .map((control) => control.outerHTML.slice(0, 200))"""


def test_models_by_name(client, grey_model):
    assert [model["name"] for model in client.get("/v1/models").json()] == ["default", "grey"]
    ask = {"params": {"model": "none"}, "content": CAT.read_bytes()}
    assert "use one of default, grey" in client.post("/v1/colorize", **ask).json()["error"]
    same = retint("serve", "--port", 0, "--model", grey_model, "--model", grey_model)
    fails_in_one_line(same, str(grey_model), "same name", "'grey'", "--set name=")


def test_a_token_lets_people_in_by_a_cookie(tmp_path):
    with served(tmp_path, token="secret") as client:
        shut = client.get("/")
        assert shut.status_code == 401
        assert "Token of this service" in shut.text
        assert "not the token" in client.get("/?token=wrong").text
        assert client.get("/gradio_api/queue/data?session_hash=a").status_code == 401
        inside = client.get("/?token=secret")
        assert inside.status_code == 303
        assert "secret" not in inside.headers["set-cookie"]
        assert "HttpOnly" in inside.headers["set-cookie"]
        assert "gradio" in client.get(inside.headers["location"]).text
        assert client.get("/v1/models").status_code == 200
        assert httpx.get(f"{client.base_url}/v1/models", timeout=60).status_code == 401


def test_two_services_on_one_host_let_the_same_browser_in(tmp_path):
    with served(tmp_path / "a", token="a") as one, served(tmp_path / "b", token="b") as other:
        for client, token in ((one, "a"), (other, "b")):
            assert one.get(f"{client.base_url}/?token={token}").status_code == 303
        for client in (one, other):
            assert one.get(f"{client.base_url}/v1/models").status_code == 200


def test_a_token_may_have_any_characters_and_cookies_odd_neighbours(tmp_path):
    with served(tmp_path, token="a+b/c== d") as client:
        for written in ("a+b/c==%20d", "a%2Bb%2Fc%3D%3D+d", "a%2Bb%2Fc%3D%3D%20d"):
            assert client.get(f"/?token={written}").status_code == 303
        ((name, cookie),) = client.cookies.items()
        neighbours = {"Cookie": f'prefs={{"a":1}}; {name}={cookie}; b=[c'}
        answer = httpx.get(f"{client.base_url}/v1/models", headers=neighbours, timeout=60)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/file=http://127.0.0.1:9/",
        "gradio_api/proxy=http://127.0.0.1:9/",
        "gradio_api/vibe-code",
        "gradio_api/dev/reload",
        "gradio_api/run-history/buckets",
        "monitoring",
        "page/none/after",
        "page/static/../page.py",
        "page/static/%2e%2e%2fpage.py",
    ],
)
def test_what_the_page_does_not_need_cannot_be_reached(client, path):
    # Not by httpx, which takes the dots out.
    head = talk(client, f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert head.split()[1] in (b"403", b"404")


def test_uploads_are_limited(client):
    large = client.post("/gradio_api/upload", files={"files": ("a.jpg", b"x" * 2_000_001)})
    assert large.status_code == 413


def taken(client, path):
    """What the page is told where a browser says that this file was dropped."""
    page = client.get("/config").json()
    takes = next(d for d in page["dependencies"] if d["targets"][0][1] == "upload")
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    ask = {"data": [[file], 1, "", "default"], "fn_index": takes["id"], "session_hash": "s1"}
    assert client.post("/gradio_api/queue/join", json=ask).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data?session_hash=s1") as events:
        return [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]


@pytest.mark.parametrize("path", [str(CAT), "http://127.0.0.1:9/cat.jpg"])
def test_what_was_not_uploaded_is_not_shown(client, path):
    told = taken(client, path)
    assert [event["success"] for event in told if event["msg"] == "process_completed"] == [False]
    assert "/page/" not in json.dumps(told)
    if path.startswith("http"):
        assert "not fetched" in json.dumps(told)


def shown_at(client):
    """Where a photograph that is dropped is shown, and where it lies."""
    upload = client.post("/gradio_api/upload", files={"files": ("a.jpg", CAT.read_bytes())})
    (path,) = upload.json()
    return re.search("/page/[0-9a-f]{32}/", json.dumps(taken(client, path)))[0], Path(path)


def test_a_photograph_is_decoded_once_to_show_it_and_once_to_colour_it(client, monkeypatch):
    read, pictures = Service.read, []

    def counted(service, data):
        pictures.append(data)
        return read(service, data)

    monkeypatch.setattr(Service, "read", counted)
    address, _ = shown_at(client)
    for picture in ("before", "after", "after?model=default", "after?strength=2&model=default"):
        assert client.get(address + picture).status_code == 200
    assert len(pictures) == 2


def test_a_picture_that_nobody_waits_for_is_not_made(tmp_path, monkeypatch):
    go, begun, made = threading.Event(), threading.Event(), []

    def show(_, __, wish, ___):
        made.append(wish.options["strength"])
        begun.set()
        go.wait(120)
        return b""

    monkeypatch.setattr(Darkroom, "_show_after", show)
    with served(tmp_path, workers=1) as client, ThreadPoolExecutor() as pool:
        address, _ = shown_at(client)
        first = pool.submit(httpx.get, f"{client.base_url}{address}after?strength=1", timeout=120)
        assert begun.wait(60)
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            line = f"GET {address}after?strength=2 HTTP/1.1\r\nHost: a\r\n\r\n"
            connection.sendall(line.encode())
            measured(client, "retint_waiting 1.0")
        measured(client, "retint_waiting 0.0")
        go.set()
        assert first.result().status_code == 200
        assert client.get(f"{address}after?strength=3").status_code == 200
    assert made == [1.0, 3.0]


def test_a_photograph_that_cannot_be_read_any_more_is_to_be_dropped_again(tmp_path):
    with served(tmp_path) as client:
        place, path = shown_at(client)
        assert client.get(f"{place}file").status_code == 200
        path.unlink()
        path.mkdir()  # there, as one that is removed just after it was looked for
        for address in ("file", "before?whole=true", "after?whole=true"):
            answer = client.get(f"{place}{address}")
            assert answer.status_code == 422
            assert "drop it again" in answer.json()["error"]


def test_an_open_page_does_not_hold_up_the_end_and_nothing_dropped_stays(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.txt").write_text("mine")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def dropped(address, name):
        file = (name, CAT.read_bytes())
        with connect(address) as client:
            assert client.post("/gradio_api/upload", files={"files": file}).is_success
        return [path.name for path in tmp_path.rglob("*.jpg")]

    with command("serve", "--data", tmp_path / "jobs") as (process, address):
        assert dropped(address, "a.jpg") == ["a.jpg"]
        process.send_signal(signal.SIGKILL)
    with command("serve", "--data", tmp_path / "jobs") as (process, address):
        assert dropped(address, "b.jpg") == ["b.jpg"]  # what was killed could not tidy up
        heartbeat = f"{address}/gradio_api/heartbeat/s1"
        with httpx.stream("GET", heartbeat, timeout=60) as stream:
            assert next(stream.iter_lines()) == "data: ALIVE"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert "graceful shutdown exceeded" not in process.stderr.read()
    assert not list(tmp_path.rglob("*.jpg"))
    assert not list((tmp_path / "temporary").iterdir())
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["letter.txt"]
