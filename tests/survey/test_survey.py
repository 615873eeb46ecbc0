"""The human test as raters and researchers meet it: the page, its addresses, the commands."""

import csv
import io
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from commands import fails_in_one_line, retint
from retint.errors import RetintError
from retint.lab import rgb_to_lightness
from retint.survey.app import create_app
from retint.survey.build import Protocol, build_survey, open_survey
from retint.survey.report import results_of
from retint.survey.store import NAME, Session, Store, read_sessions
from retint.survey.trials import TrialKind, draw_trials
from retint.whole import partial_path
from serving import chromium, command, connect, running

SHORT = Protocol(practice=1, trials=2, checks=1, seconds=0.05)
SHORT_OPTIONS = ("--practice", 1, "--trials", 2, "--checks", 1, "--seconds", 0.05, "--limit", 6)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """28 squares of colour photographs, just large enough."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for part in range(7):
            top, left = 10 * (part // 4), 40 * (part % 4)
            cut = Image.fromarray(picture[top : top + 270, left : left + 260])
            cut.save(folder / f"{name}-{part}.jpg", quality=92)
    return folder


def served(survey, token=None):
    """A survey on a port of its own, in this process; its address."""
    return running(create_app(survey, Store(survey, random.Random(1)), token=token))


def answer_all(client, choose, most=1000):
    """Take part: `choose` is given a trial and says a side."""
    state = client.post("/session", json={}).json()
    for _ in range(most):
        if state["trial"] is None:
            return
        said = {"side": choose(state["trial"]), "milliseconds": 900}
        state = client.post(f"/trials/{state['trial']['number']}", json=said).json()


def report_of(folder, *options):
    done = retint("survey", "report", folder, *options)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "report" / "results.json").read_text()), done.stdout


def twins_of(photos, folder):
    """Pictures that another program has coloured, perfectly."""
    twins = folder / "twins"
    twins.mkdir()
    for path in photos.iterdir():
        Image.open(path).save(twins / f"{path.stem}.png")
    return twins


@pytest.fixture(scope="module")
def answered(photos, tmp_path_factory):
    """A full survey of two models; raters of one flip coins, those of the other know the truth."""
    folder = tmp_path_factory.mktemp("answered")
    twins = twins_of(photos, folder)
    protocol = Protocol(practice=2, trials=20, seconds=0.01)
    survey = build_survey(photos, ["default", str(twins)], folder / "out", protocol, 26)
    coin = random.Random(3)
    with served(survey) as address:

        def choose(trial):
            session = read_sessions(survey)[-1]
            current = session.current
            if session.model == "twins":
                return coin.choice(["left", "right"])
            return "left" if current.real == "right" else "right"

        for _ in range(12):  # as the page does, without its waiting
            with connect(address) as client:
                answer_all(client, choose)
        with connect(address) as client:
            answer_all(client, choose, most=10)  # one leaves before the end
    return folder / "out", *report_of(folder / "out")


def test_a_coin_flippers_interval_covers_a_half_and_a_perfect_raters_zero(answered):
    _, results, _ = answered
    perfect, flippers = results["models"]
    assert perfect["model"] == "default"
    assert perfect["attentive"]["raters"] == perfect["everyone"]["raters"] == 6
    assert perfect["attentive"]["rate"] == 0
    assert perfect["attentive"]["wilson"]["low"] == 0
    assert perfect["attentive"]["wilson"]["high"] < 0.04
    assert perfect["attentive"]["bootstrap"] == {"low": 0, "high": 0}
    everyone = flippers["everyone"]
    assert everyone["trials"] == 6 * 20
    assert everyone["wilson"]["low"] < 0.5 < everyone["wilson"]["high"]
    assert everyone["bootstrap"]["low"] < 0.5 < everyone["bootstrap"]["high"]


def test_intervals_cover_what_coin_flippers_do_as_often_as_they_say(answered):
    survey = open_survey(answered[0])
    chance, covered = random.Random(4), 0

    def flip_coins():
        trials = draw_trials(survey.protocol, 26, chance)
        sides = chance.choices(["left", "right"], k=len(trials))
        return tuple(replace(t, answer=side) for t, side in zip(trials, sides, strict=True))

    for _ in range(200):
        sessions = [Session("twins", flip_coins()) for _ in range(6)]
        rate = results_of(survey, sessions).models[1].everyone
        covered += rate.wilson.low < 0.5 < rate.wilson.high
    assert 180 <= covered <= 199


def test_inattentive_and_incomplete_sessions_are_counted_apart(answered):
    _, results, printed = answered
    perfect, flippers = results["models"]
    assert {perfect["begun"], flippers["begun"]} == {6, 7}  # balanced
    assert perfect["incomplete"] + flippers["incomplete"] == 1
    assert perfect["inattentive"] == 0
    assert flippers["inattentive"] > 0  # who flips coins gets 3 of 4 right in 5 of 16 cases
    attentive = flippers["attentive"]["raters"] if flippers["attentive"] else 0
    assert attentive + flippers["inattentive"] == flippers["everyone"]["raters"]
    assert "answers 3 of the 4 attention checks" in printed
    assert "twins, the inattentive too" in printed


def test_rates_of_pictures_add_up_and_the_page_shows_them(answered):
    folder, results, _ = answered
    with (folder / "report" / "pictures.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "default"]
    assert sum(int(row["trials"]) for row in rows) == 6 * 20
    assert {row["fooled"] for row in rows} == {"0"}
    page = (folder / "report" / "report.html").read_text()
    assert "default: fooled most" in page
    assert "data:image/jpeg;base64," in page
    needed = results["models"][0]["attentive"]["power"]["raters"]
    assert f"takes {needed} attentive raters" in page


def test_a_report_is_not_replaced_unasked(answered):
    folder, _, _ = answered
    fails_in_one_line(retint("survey", "report", folder), "--overwrite")
    assert retint("survey", "report", folder, "--overwrite").returncode == 0


def test_names_of_photographs_need_not_be_text(photos, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for number, path in enumerate(sorted(photos.iterdir())[: SHORT.length]):
        shutil.copy(path, odd / os.fsdecode(b"caf\xe9-%d.jpg" % number))
    store = Store(build_survey(odd, ["default"], tmp_path / "out", SHORT))
    id_, session = store.begin()
    for trial in session.trials:
        store.answer(id_, trial.number, "left" if trial.real == "right" else "right", 900)
    store.close()
    results, _ = report_of(tmp_path / "out")
    assert results["models"][0]["everyone"]["bootstrap"] is None  # of a single rater
    report = tmp_path / "out" / "report"
    assert b",caf\xe9-" in (report / "pictures.csv").read_bytes()
    assert "caf\\udce9-" in (report / "report.html").read_text()


def chunks(png):
    names, at = [], 8
    while at < len(png):
        names.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4])
    return set(names)


def test_what_cannot_be_used_of_a_folder_is_named(photos, tmp_path):
    some = tmp_path / "some"
    shutil.copytree(photos, some)
    (some / "again").symlink_to(some)
    survey = build_survey(some, ["default"], tmp_path / "out", SHORT, 6)
    assert survey.left_out == (f"{some / 'again'} leads to a folder that is coloured already",)
    with pytest.raises(RetintError, match="is no folder"):
        build_survey(tmp_path / ("n" * 300), ["default"], tmp_path / "b", SHORT)


def test_an_address_that_is_taken_is_told_before_photographs_are_coloured(photos, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = retint("survey", photos, "-o", tmp_path / "out", "--port", port)
    fails_in_one_line(done, str(port), "another --port")
    assert not (tmp_path / "out").exists()


def test_nothing_but_pixels_tells_which_picture_is_real(photos, tmp_path):
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    with served(survey) as address, connect(address) as client:
        seen = []
        state = client.post("/session", json={}).json()
        while trial := state["trial"]:
            current = read_sessions(survey)[0].current
            left, right = (client.get(f"/{trial['pictures'][s]}") for s in ("left", "right"))
            for answer in (left, right):
                assert answer.headers["cache-control"] == "no-store"
                assert chunks(answer.content) == {b"IHDR", b"IDAT", b"IEND"}
                answer.headers.pop("x-request-id")
                answer.headers.pop("date")
            assert left.headers == right.headers
            assert len(left.content) == len(right.content)
            pixels = [np.asarray(Image.open(io.BytesIO(a.content))) / 255 for a in (left, right)]
            assert (pixels[0] != pixels[1]).any()
            difference = rgb_to_lightness(pixels[0]) - rgb_to_lightness(pixels[1])
            assert np.abs(difference).max() < 0.6  # L*: both are bytes
            seen.append((current.kind, set(trial), dict(trial)))
            said = {"side": "left", "milliseconds": 1}
            state = client.post(f"/trials/{trial['number']}", json=said).json()
            assert (state["feedback"] is None) == (current.kind is not TrialKind.PRACTICE)
            assert client.get(f"/{trial['pictures']['left']}").status_code == 404  # it is past
        assert len({frozenset(keys) for _, keys, _ in seen}) == 1
        checks = [trial["practice"] for kind, _, trial in seen if kind is TrialKind.CHECK]
        assert checks == [False]


def test_pictures_of_another_program_have_the_photographs_lightness(photos, tmp_path):
    dark = tmp_path / "dark"
    dark.mkdir()
    for path in photos.iterdir():
        Image.open(path).point(lambda level: level * 0.7).save(dark / f"{path.stem}.png")
    survey = build_survey(photos, [str(dark)], tmp_path / "out", SHORT, 6)
    for number in range(len(survey.pictures)):
        columns = ("truth", "dark")
        shown = [np.asarray(Image.open(io.BytesIO(survey.picture(number, c)))) for c in columns]
        truth, other = (pixels / 255 for pixels in shown)
        assert np.abs(rgb_to_lightness(truth) - rgb_to_lightness(other)).max() < 0.6  # as above
        assert np.ptp(shown[1], axis=2).max() > 20  # in its colours


def test_one_session_for_each_rater_and_one_answer_for_each_trial(photos, tmp_path):
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    with served(survey) as address, connect(address) as client:
        assert client.get("/session").json() is None
        assert client.post("/trials/1", json={"side": "left", "milliseconds": 1}).status_code == 401
        first = client.post("/session", json={})
        assert "HttpOnly" in first.headers["set-cookie"]
        assert client.post("/session", json={}).json() == client.get("/session").json()
        said = {"side": "left", "milliseconds": 700}
        once = client.post("/trials/1", json=said).json()
        again = client.post("/trials/1", json={"side": "right", "milliseconds": 1}).json()
        assert once == again  # such as when the answer got lost on its way back
        assert read_sessions(survey)[0].trials[0].answer == "left"
        assert client.post("/trials/4", json=said).status_code == 409
        assert client.post("/trials/2", json={"side": "up", "milliseconds": 1}).status_code == 422
        with connect(address) as other:
            trial = other.post("/session", json={}).json()["trial"]
            assert client.get(f"/{trial['pictures']['left']}").status_code == 404
        answer_all(client, lambda _: "right")
        assert client.post("/session", json={}).json() == {"trial": None}
        assert len(read_sessions(survey)) == 2


def test_with_a_token_only_who_has_it_begins(photos, tmp_path):
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    with served(survey, token="s3cret") as address, connect(address) as client:
        assert client.get("/").status_code == 200
        assert client.post("/session", json={}).status_code == 401
        right = {"Authorization": "Bearer s3cret"}
        assert client.post("/session", json={}, headers=right).status_code == 200
        assert client.get("/session").json()["trial"]["number"] == 1


def test_a_killed_survey_has_all_answers_and_goes_on(photos, tmp_path):
    arguments = ("survey", photos, "--models", "default", "-o", tmp_path / "out", *SHORT_OPTIONS)
    with command(*arguments) as (process, address):
        with connect(address) as client:
            answer_all(client, lambda _: "left", most=2)
            cookies = dict(client.cookies)
        process.send_signal(signal.SIGKILL)
        process.wait()
    results, _ = report_of(tmp_path / "out")
    assert results["models"][0]["incomplete"] == 1
    with command(*arguments) as (_, address), connect(address) as client:
        client.cookies.update(cookies)
        assert client.get("/session").json()["trial"]["number"] == 3
        answer_all(client, lambda _: "right")
    rows = sqlite3.connect(tmp_path / "out" / NAME).execute("select answer from trials")
    assert [answer for (answer,) in rows] == ["left", "left", "right", "right"]
    results, _ = report_of(tmp_path / "out", "--overwrite")
    assert results["models"][0]["everyone"]["trials"] == 2


def test_a_killed_build_begins_anew(photos, tmp_path):
    left = partial_path(tmp_path / "out" / "pictures", sole=True) / "00001-truth.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a picture")
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    assert open_survey(tmp_path / "out") == survey
    assert Image.open(io.BytesIO(survey.picture(0, "truth"))).size == (256, 256)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"pictures"}


def test_what_cannot_be_done_is_said_in_one_line(photos, answered, tmp_path):
    used, _, _ = answered
    fails_in_one_line(retint("survey", photos, "-o", tmp_path / "a", "--limit", 9), "--trials")
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    fails_in_one_line(retint("survey", photos, "-o", used), "holds a survey", "--out")
    fails_in_one_line(retint("survey", photos, "--host", "0.0.0.0"), "--token", "--insecure")
    for folder, out, words in (
        (photos, photos, "in use"),
        (tmp_path / "none", tmp_path / "b", "no folder"),
        (tmp_path / "a", tmp_path / "b", "no pictures"),
    ):
        with pytest.raises(RetintError, match=words):
            build_survey(folder, ["default"], out, SHORT)
    with pytest.raises(RetintError, match="no survey"):
        open_survey(photos)


def test_a_folder_for_the_pictures_that_is_none_is_named(photos, tmp_path):
    file = tmp_path / "file"
    file.touch()
    fails_in_one_line(retint("survey", photos, "-o", file), f"{file} cannot be used", "--out")


def test_a_report_names_a_picture_that_is_missing(answered, tmp_path):
    survey = shutil.copytree(answered[0], tmp_path / "survey")
    for picture in (survey / "pictures").glob("*-truth.png"):
        picture.unlink()
    done = retint("survey", "report", survey, "-o", tmp_path / "report")
    fails_in_one_line(done, f"{survey / 'pictures'}", "-truth.png does not exist")


def test_a_report_of_answers_that_may_only_be_read(answered, tmp_path, monkeypatch):
    survey = replace(open_survey(answered[0]), folder=tmp_path)
    assert read_sessions(survey) == []  # nobody was asked yet
    assert not list(tmp_path.iterdir())
    shutil.copy(answered[0] / NAME, tmp_path)
    assert len(read_sessions(survey)) == 13
    assert {path.name for path in tmp_path.iterdir()} == {NAME}  # SQLite made no files beside it
    store = Store(survey)
    store.begin()
    assert len(read_sessions(survey)) == 14  # what is in the log only, too
    store.close()

    def out_of_reach(*_, **__):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite3, "connect", out_of_reach)
    for use in (read_sessions, Store):
        with pytest.raises(RetintError, match="may use its folder"):
            use(survey)


@pytest.fixture(scope="module")
def browser():
    with chromium() as launched:
        yield launched


def test_a_session_on_the_page(photos, tmp_path, browser):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)  # milliseconds: machines are busy at times
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    with served(survey) as address:
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        page = context.new_page()
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(address)
        expect(page.locator("#consent")).to_contain_text("voluntary")
        assert not context.cookies()  # nothing is stored before consent
        page.tap("#begin")

        expect(page.locator("#count")).to_have_text("Practice 1 of 1")
        expect(page.locator("#left")).to_be_enabled()
        real = read_sessions(survey)[0].trials[0].real
        page.evaluate("""for (const name of ["altKey", "ctrlKey", "metaKey"])
          document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft", [name]: true}))""")
        expect(page.locator("#left")).to_be_enabled()  # such keys are the browser's: Alt goes back
        page.keyboard.press("ArrowLeft" if real == "right" else "ArrowDown")  # which is right
        upper_or_lower = "lower" if real == "left" else "upper"
        expect(page.locator("#says")).to_contain_text(f"Correct: it was the {upper_or_lower} one")
        page.tap("#next")

        expect(page.locator("#count")).to_have_text("Pair 1 of 3")
        expect(page.locator("#right")).to_be_enabled()
        page.reload()
        expect(page.locator("#count")).to_have_text("Pair 1 of 3")
        page.tap("#right:enabled")

        expect(page.locator("#count")).to_have_text("Pair 2 of 3")
        page.locator("#left:enabled").click()
        expect(page.locator("#count")).to_have_text("Pair 3 of 3")
        expect(page.locator("#right")).to_be_enabled()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#end")).to_be_visible()
        page.reload()
        expect(page.locator("#end")).to_be_visible()

        (session,) = read_sessions(survey)
        first = "left" if real == "right" else "right"
        assert [trial.answer for trial in session.trials] == [first, "right", "left", "right"]
        assert [trial.views for trial in session.trials] == [1, 2, 1, 1]
        assert all(trial.milliseconds is not None for trial in session.trials)
        assert not errors
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
        context.close()


def test_answers_that_break_off_are_asked_for_again(photos, tmp_path, browser):
    protocol = Protocol(practice=0, trials=1, checks=0, seconds=0.05)
    survey = build_survey(photos, ["default"], tmp_path / "out", protocol, 1)
    with served(survey) as address:
        page = browser.new_page()
        page.add_init_script(
            """for (const name of ["json", "blob"]) {
              const read = Response.prototype[name];
              let count = 0;
              Response.prototype[name] = function () {
                return count++ % 2 ? read.call(this) : Promise.reject(new TypeError("network"));
              };
            }"""
        )
        page.goto(address)
        page.click("#begin")
        page.click("#left:enabled")
        page.locator("#end").wait_for()
        (session,) = read_sessions(survey)
        assert session.trials[0].answer == "left"
        page.context.close()


def test_the_page_says_what_is_wrong_before_it_begins(photos, tmp_path, browser):
    protocol = Protocol(practice=0, trials=1, checks=0, seconds=0.05)
    survey = build_survey(photos, ["default"], tmp_path / "out", protocol, 1)
    with served(survey) as address:
        page = browser.new_page()
        page.route("**/session", lambda route: route.abort())
        page.goto(address)
        page.get_by_text("The connection is lost").wait_for()
        page.unroute("**/session")
        page.locator("#begin").wait_for()
        assert not page.locator("#lost").text_content()
        page.route("**/session", lambda route: route.fulfill(status=403, body="<h1>A proxy</h1>"))
        page.click("#begin")
        page.locator("#refused", has_text="Forbidden").wait_for()
        page.reload()
        page.locator("#refused", has_text="Forbidden").wait_for()
        page.unroute("**/session")
        page.click("#begin")
        page.click("#left:enabled")
        page.locator("#end").wait_for()
        page.context.close()


@pytest.mark.parametrize("token", ["100% s3cret", "\u043a\u043b\u044e\u0447 %41"])
def test_a_secret_may_have_any_characters(photos, tmp_path, browser, token):
    protocol = Protocol(practice=0, trials=1, checks=0, seconds=0.05)
    survey = build_survey(photos, ["default"], tmp_path / "out", protocol, 1)
    with served(survey, token=token) as address:
        page = browser.new_page()
        page.goto(f"{address}/#wrong%")
        page.click("#begin")
        page.get_by_text("lacks the secret").wait_for()
        page.goto("about:blank")
        page.goto(f"{address}/#{token.replace('%41', '%2541')}")
        page.click("#begin")
        page.click("#left:enabled")
        page.locator("#end").wait_for()
        page.context.close()


def test_simulated_raters_on_the_page(photos, tmp_path, browser):
    protocol = Protocol(practice=1, trials=10, checks=1, seconds=0.01)
    twins = twins_of(photos, tmp_path)
    survey = build_survey(photos, ["default", str(twins)], tmp_path / "out", protocol, 12)
    coin = random.Random(5)
    with served(survey) as address:
        for _ in range(4):
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            page.click("#begin")
            for number in range(1, protocol.length + 1):
                page.locator("#left:enabled").wait_for()
                session = read_sessions(survey)[-1]
                assert session.current.number == number
                truth = "right" if session.current.real == "left" else "left"
                flipped = coin.choice(["left", "right"])
                side = truth if session.model == "default" else flipped
                page.keyboard.press(f"Arrow{side.title()}")
                if number == 1:
                    page.click("#next")
            page.locator("#end").wait_for()
            context.close()
    perfect, flippers = report_of(tmp_path / "out")[0]["models"]
    assert perfect["attentive"]["raters"] == flippers["everyone"]["raters"] == 2
    assert perfect["attentive"]["rate"] == perfect["attentive"]["wilson"]["low"] == 0
    interval = flippers["everyone"]["wilson"]
    assert interval["low"] < 0.5 < interval["high"]


def test_pictures_are_whole_before_they_show_and_one_shows_at_a_time(photos, tmp_path, browser):
    """A slow network must not take from the time of a picture."""
    survey = build_survey(photos, ["default"], tmp_path / "out", SHORT, 6)
    with served(survey) as address:
        page = browser.new_context(bypass_csp=True).new_page()
        fetched = []

        def slowly(route):
            time.sleep(0.3)
            fetched.append(page.locator("img.shown").count())
            route.continue_()

        page.route("**/pictures/*", slowly)
        page.add_init_script(
            """window.shown = [];
            addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
              const now = [...document.querySelectorAll("img.shown")];
              window.shown.push(now.map((img) => [img.parentNode.id, img.naturalWidth]));
            }).observe(document.body, {subtree: true, attributeFilter: ["class"]}));"""
        )
        page.goto(address)
        page.click("#begin")
        page.locator("#left:enabled").wait_for()
        first = read_sessions(survey)[0].trials[0].first
        second = "right" if first == "left" else "left"
        assert fetched == [0, 0]
        assert page.evaluate("window.shown") == [[[first, 256]], [], [[second, 256]], []]
        page.context.close()
