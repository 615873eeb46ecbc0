import hashlib
import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from commands import COMMAND, SAMPLES, START, fails_in_one_line, retint, retint_here
from retint.model import model_path
from retint.photo import read_photo
from retint.photo.provenance import read_provenance
from retint.tables import Table


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "cat.jpg"
    path.parent.mkdir()
    shutil.copy(SAMPLES / "cat.jpg", path)
    return path


def test_a_photograph_by_its_name_alone(photo):
    done = retint(photo)
    assert done.returncode == 0, done.stderr
    with Image.open(photo.with_name("cat-color.jpg")) as result, Image.open(photo) as source:
        assert result.size == source.size
        assert result.mode == "RGB"


def test_a_photograph_whose_name_begins_with_a_dash(photo, monkeypatch):
    photo.rename(photo.with_name("-cat.jpg"))
    monkeypatch.chdir(photo.parent)
    assert retint("--", "-cat.jpg").returncode == 0
    assert photo.with_name("-cat-color.jpg").exists()


def test_an_interrupt_while_libraries_load_is_told_in_a_line(photo, monkeypatch):
    def loading(*_):
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("retint.many.Run.once", loading)
    done = retint_here("colorize", photo)
    assert done.returncode == 130
    assert done.stderr.startswith("retint: stopped")


def test_a_folder_is_mirrored_and_a_bad_file_stops_nothing(photo, tmp_path):
    sub = photo.parent / "sub"
    sub.mkdir()
    shutil.copy(photo, sub / "dog.jpg")
    (sub / "text.jpg").write_text("no picture")
    done = retint("colorize", photo.parent, "-o", tmp_path / "out")
    fails_in_one_line(done, "text.jpg")
    assert "2 coloured, 1 failed" in done.stderr
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.jpg")}
    assert found == {"cat-color.jpg", "sub/dog-color.jpg"}


def test_outputs_are_not_coloured_again(photo):
    for options in ((), ("--format", "png")):
        assert retint_here("colorize", photo.parent, *options, "--overwrite").returncode == 0
    done = retint_here("colorize", photo.parent, "--overwrite", "--dry-run")
    assert done.stdout.splitlines() == [f"{photo} -> {photo.with_name('cat-color.jpg')}"]
    assert "0 skipped; 2 named like results passed over" in done.stderr


def test_the_original_is_never_replaced(photo):
    before = photo.read_bytes()
    done = retint_here("colorize", photo, "-o", photo, "--overwrite")
    fails_in_one_line(done, "the photograph itself")
    assert photo.read_bytes() == before


def test_an_output_of_an_unknown_format_is_named(photo, tmp_path):
    done = retint_here("colorize", photo, "-o", tmp_path / "out.gif")
    fails_in_one_line(done, "out.gif", "'.gif'")
    assert not (tmp_path / "out.gif").exists()


def test_colours_get_no_name_of_a_grey_map(photo, tmp_path):
    done = retint_here("colorize", photo, "-o", tmp_path / "out.pgm")
    fails_in_one_line(done, "out.pgm", "grey alone", "out.ppm")
    assert not (tmp_path / "out.pgm").exists()
    with Image.open(photo) as image:
        image.convert("L").save(tmp_path / "scan.pgm")
    assert retint_here("colorize", tmp_path / "scan.pgm").returncode == 0
    with Image.open(tmp_path / "scan-color.ppm") as result:
        assert result.mode == "RGB"


def test_details_on_demand(photo):
    done = retint("-v", "colorize", photo)
    assert "coloured in" in done.stderr
    assert "coloured in" not in retint("colorize", photo, "--overwrite").stderr


def test_a_date_that_is_none(photo, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "abc")
    fails_in_one_line(retint_here("colorize", photo), "SOURCE_DATE_EPOCH is 'abc'")


def test_a_text_file_named_jpg(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    fails_in_one_line(retint("colorize", tmp_path / "a.jpg"), "a.jpg", "not a picture")


def test_a_truncated_jpeg(photo):
    photo.write_bytes(photo.read_bytes()[:5000])
    fails_in_one_line(retint_here("colorize", photo), "cat.jpg", "damaged")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    fails_in_one_line(retint_here("colorize", tmp_path / "a.jpg"), "a.jpg", "empty")


def test_a_missing_file(tmp_path):
    fails_in_one_line(retint_here("colorize", tmp_path / "a.jpg"), "a.jpg", "does not exist")


def test_a_missing_folder_by_its_name_alone(tmp_path):
    fails_in_one_line(retint_here(f"{tmp_path}/scans/"), "scans does not exist")


def test_a_folder_without_pictures(tmp_path):
    fails_in_one_line(retint_here("colorize", tmp_path), "no pictures")


def test_an_output_that_cannot_be_written(photo, tmp_path):
    (tmp_path / "file").touch()
    fails_in_one_line(retint_here("colorize", photo, "-o", tmp_path / "file" / "out"), "cannot be")


def test_an_unknown_model(photo):
    fails_in_one_line(retint_here("colorize", photo, "--model", "nobody"), "nobody", "default")


def test_names_that_are_too_long_are_told_in_a_line(photo):
    long = "n" * 300
    for name in (long, f"{long}.jpg", f"{long}.onnx"):
        fails_in_one_line(retint_here("info", name), name)
        fails_in_one_line(retint_here("colorize", photo, "--model", name), f"no model '{name}'")
    done = retint_here("data", "stats", photo.parent, "-o", f"{long}.png")
    fails_in_one_line(done, "no usable colour photograph")
    assert retint_here("survey", "report", long, "-o", long).returncode == 1


def test_a_damaged_model(photo, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"x" * 100)
    fails_in_one_line(retint_here("colorize", photo, "--model", tmp_path / "m.onnx"), "m.onnx")


def test_a_provider_that_is_not_here_is_replaced_by_the_cpu(photo):
    done = retint("colorize", photo, "--provider", "cuda")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("ONNX Runtime cannot compute with CUDA here: computing on the CPU")
    fails_in_one_line(retint("colorize", photo, "--provider", "abacus"), "abacus", "CPU")


def test_an_output_that_exists(photo):
    assert retint_here("colorize", photo).returncode == 0
    before = photo.with_name("cat-color.jpg").read_bytes()
    fails_in_one_line(retint_here("colorize", photo), "exists", "--overwrite", "another with -o")
    assert photo.with_name("cat-color.jpg").read_bytes() == before


def test_two_inputs_of_one_output(photo, tmp_path):
    other = tmp_path / "other" / "cat.jpg"
    other.parent.mkdir()
    shutil.copy(photo, other)
    done = retint_here("colorize", photo, other, "-o", tmp_path / "out")
    fails_in_one_line(done, "would both be written")


def test_wrong_usage_exits_with_2():
    assert retint("colorize").returncode == 2


def test_a_photograph_in_colours_is_left_alone_unless_asked(tmp_path, colour_photo):
    Image.fromarray(colour_photo).save(tmp_path / "a.png")
    done = retint_here("colorize", tmp_path / "a.png")
    assert done.returncode == 0
    assert "--recolor" in done.stderr
    assert not (tmp_path / "a-color.png").exists()
    assert retint_here("colorize", tmp_path / "a.png", "--recolor").returncode == 0
    assert (tmp_path / "a-color.png").exists()


def test_a_result_says_how_it_came_to_its_colours(photo, tmp_path):
    one = tmp_path / "one.tif"
    done = retint_here("colorize", photo, "--seed", 3, "--hint", "10,20,#3060c0", "-o", one)
    assert done.returncode == 0, done.stderr
    said = retint_here("info", one).stdout
    assert "default 0." in said
    assert "10,20,#3060c0" in said
    assert hashlib.sha256(model_path("default").read_bytes()).hexdigest() in said
    again = retint_here("colorize", one, "-o", tmp_path / "two.jpg")
    assert again.returncode == 0
    assert "anew from its lightness" in again.stderr
    bare = tmp_path / "bare.jpg"
    assert retint_here("colorize", photo, "--no-provenance", "-o", bare).returncode == 0
    assert "inferred" not in retint_here("info", bare).stdout


def test_another_format_and_quality(photo, tmp_path):
    done = retint_here("colorize", photo.parent, "-o", tmp_path / "low", "--format", "webp")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "low" / "cat-color.webp") as result:
        assert result.format == "WEBP"
    sizes = []
    for quality in (60, 95):
        target = tmp_path / f"{quality}.jpg"
        assert retint_here("colorize", photo, "--quality", quality, "-o", target).returncode == 0
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1] / 2
    fails_in_one_line(retint_here("colorize", photo, "--format", "doc"), "doc")


def test_pages_that_have_colours_keep_them(tmp_path, colour_photo):
    colours = Image.fromarray(colour_photo[:120, :160])
    grey = colours.convert("L").convert("RGB")
    for name, pages in (("a", (grey, colours)), ("b", (colours, grey))):
        pages[0].save(tmp_path / f"{name}.tif", save_all=True, append_images=pages[1:])
        done = retint_here("colorize", tmp_path / f"{name}.tif")
        assert f"have colours stay as they are: {2 if name == 'a' else 1}" in done.stderr
        result = read_photo(tmp_path / f"{name}-color.tif")
        same = [(page.pixels == np.asarray(colours)).all() for page in (result, *result.pages)]
        assert same == [page is colours for page in pages]
        assert [bool(read_provenance(page.xmp)) for page in (result, *result.pages)] == [
            page is grey for page in pages
        ]


def test_pages_that_have_colours_keep_them_beside_results_of_retint(tmp_path, colour_photo):
    colours = Image.fromarray(colour_photo[:120, :160])
    grey = colours.convert("L").convert("RGB")
    grey.save(tmp_path / "a.tif", save_all=True, append_images=[colours])
    assert retint_here("colorize", tmp_path / "a.tif", "-o", tmp_path / "once.tif").returncode == 0
    again = ("colorize", tmp_path / "once.tif", "--seed", 3, "-o", tmp_path / "anew.tif")
    done = retint_here(*again)
    assert "anew from its lightness" in done.stderr
    assert "have colours stay as they are: 2" in done.stderr
    anew = read_photo(tmp_path / "anew.tif")
    assert read_provenance(anew.xmp)["seed"] == "3"
    assert (anew.pages[0].pixels == np.asarray(colours)).all()
    assert not read_provenance(anew.pages[0].xmp)


def test_a_coloured_page_alone_is_no_work_for_a_format_of_one_page(tmp_path, colour_photo):
    colours = Image.fromarray(colour_photo[:120, :160])
    colours.save(tmp_path / "b.tif", save_all=True, append_images=[colours.convert("L")])
    done = retint_here("colorize", tmp_path / "b.tif", "-o", tmp_path / "b.jpg")
    assert "b.tif has colours already: add --recolor" in done.stderr
    assert not (tmp_path / "b.jpg").exists()


def test_hints_of_a_page_that_keeps_its_colours_are_refused(tmp_path, colour_photo):
    colours = Image.fromarray(colour_photo[:120, :160])
    colours.save(tmp_path / "b.tif", save_all=True, append_images=[colours.convert("L")])
    command = ("colorize", tmp_path / "b.tif", "--hint", "60,50,#ff0000")
    refused = retint_here(*command)
    assert refused.returncode == 1
    assert "hints are for the first page" in refused.stderr
    assert not (tmp_path / "b-color.tif").exists()
    assert retint_here(*command, "--recolor").returncode == 0


def test_hints_are_of_the_first_page(photo, tmp_path):
    with Image.open(photo) as page:
        page.save(tmp_path / "a.tif", save_all=True, append_images=[page.resize((40, 30))])
    done = retint_here("colorize", tmp_path / "a.tif", "--hint", "60,50,#ff0000")
    assert done.returncode == 0, done.stderr
    first = read_photo(tmp_path / "a-color.tif")
    hints = [read_provenance(page.xmp)["hints"] for page in (first, *first.pages)]
    assert hints == ["60,50,#ff0000", "none"]


def test_what_another_format_cannot_hold_is_told(photo, tmp_path):
    with Image.open(photo) as page:
        page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    done = retint_here("colorize", tmp_path / "a.tif", "-o", tmp_path / "b.jpg")
    assert done.returncode == 0
    assert "b.jpg has lost further pages" in done.stderr


def test_every_result_says_that_its_colours_were_inferred(tmp_path):
    with Image.open(SAMPLES / "cat.jpg") as grey:
        small = grey.resize((60, 40))
    for suffix in ("jpg", "png", "tif", "webp", "avif", "jp2", "bmp", "pgm"):
        small.save(tmp_path / f"{suffix}.{suffix}")
    out = tmp_path / "out"
    assert retint_here("colorize", tmp_path, "-o", out).returncode == 0
    results = [path for path in out.iterdir() if path.suffix not in (".xmp", ".jsonl")]
    assert len(results) == 8
    for path in results:
        assert "retint 0." in read_provenance(read_photo(path).xmp)["tool"]


def test_a_name_that_is_no_text(photo):
    odd = os.fsencode(photo.parent) + b"/caf\xe9.jpg"
    os.rename(photo, odd)  # noqa: PTH104 - a name in bytes
    done = subprocess.run([*COMMAND, "colorize", odd], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"caf\xe9-color.jpg" in done.stdout
    assert os.path.exists(odd.replace(b".jpg", b"-color.jpg"))  # noqa: PTH110


def test_info_and_models(tmp_path, colour_photo):
    about = retint_here("info", SAMPLES / "cat.jpg").stdout
    with Image.open(SAMPLES / "cat.jpg") as cat:
        assert f"{cat.width} x {cat.height}" in about
    assert "grey" in about
    sepia = colour_photo.mean(axis=2, keepdims=True) * (1.0, 0.85, 0.65)
    for name, pixels in (("toned", sepia), ("coloured", colour_photo)):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
        assert name in retint_here("info", tmp_path / "a.png").stdout
    assert "default" in retint_here("models").stdout
    assert "Apache-2.0" in retint_here("info", "default").stdout
    (tmp_path / "a.mp4").write_text("neither")
    fails_in_one_line(retint_here("info", tmp_path / "a.mp4"), "a.mp4 is not a picture")


def test_a_wide_table_keeps_its_figures_on_a_narrow_terminal():
    titles = ("PSNR dB ↑", "SSIM ↑", "CIEDE2000 ↓", "colour / truth", "AuC ↑", "AuC rebal. ↑")
    titles = (*titles, "ST-LPIPS ↓", "LPIPS ↓", "Frechet ↓")
    name, figures = "runs/unet-gan, aged", [f"{number}.{number}23" for number in range(9)]
    console = Console(width=80, file=io.StringIO())
    console.print(Table(["", *titles], [["grey", *figures], [name, *figures]]).rich())
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(all(figure in line for figure in figures) for line in lines) == 2
    assert "CIEDE2000" in " ".join(lines)
    assert name.replace(" ", "") in "".join(line[:15] for line in lines).replace(" ", "")


@pytest.mark.parametrize(
    ("code", "arguments", "says", "unneeded"),
    [
        (START, "--help", "colorize", "torch numpy cv2 onnxruntime"),
        (START, "colorize cat.jpg", "cat-color.jpg", "fastapi gradio uvicorn fsspec ray upath"),
        ("import retint", "", "", "torch numpy cv2"),
        (
            "import numpy, retint; retint.colorize(numpy.zeros((8, 8), 'uint8'))",
            "",
            "",
            "torch matplotlib",
        ),
        ("import retint.survey.build, retint.survey.report", "", "", "torch fastapi"),
    ],
)
def test_what_is_not_needed_is_not_loaded(photo, code, arguments, says, unneeded):
    watched = f"import sys\ntry: {code}\nfinally: print(set({unneeded.split()}) & set(sys.modules))"
    command = [sys.executable, "-c", watched, *arguments.split()]
    done = subprocess.run(command, cwd=photo.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *said, loaded = done.stdout.splitlines()
    assert says in "".join(said)
    assert loaded == "set()"


def test_a_strength_that_is_no_number(photo):
    fails_in_one_line(retint_here("colorize", photo, "--strength", "nan"), "strength nan")
    assert not photo.with_name("cat-color.jpg").exists()


def test_an_empty_name_is_not_the_current_folder(photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    fails_in_one_line(retint_here("colorize", ""), "empty name")
    fails_in_one_line(retint_here("colorize", "cat.jpg", "-o", ""), "empty name")
    assert [path.name for path in photo.parent.iterdir()] == ["cat.jpg"]


def test_scans_that_are_not_read_are_not_passed_over(photo):
    with Image.open(photo) as cat:
        cat.save(photo.with_name("scan.pdf"))
        cat.save(photo.with_name("still.gif"))
    done = retint_here("colorize", photo.parent, "-o", photo.parent.parent / "out")
    assert done.returncode == 1
    assert "scan.pdf: it is a PDF: save its pages" in done.stderr
    assert "still.gif: GIF pictures are not supported: save it as PNG" in done.stderr
    assert "1 coloured, 2 failed" in done.stderr


@pytest.mark.usefixtures("same_date")
def test_samples_are_named_by_their_seeds_and_differ(photo, tmp_path):
    for options in ((), ("--seed", 3)):
        done = retint_here("colorize", photo, "--samples", 2, *options, "-o", tmp_path)
        assert done.returncode == 0, done.stderr
    samples = {f"cat-color-{seed}.jpg" for seed in (1, 2, 3, 4)}
    assert {path.name for path in tmp_path.glob("cat-color-*.jpg")} == samples
    for seed in (2, 3):
        alone = tmp_path / "alone" / f"{seed}.jpg"
        assert retint_here("colorize", photo, "--seed", seed, "-o", alone).returncode == 0
        assert alone.read_bytes() == (tmp_path / f"cat-color-{seed}.jpg").read_bytes()
    one, two = (np.asarray(Image.open(tmp_path / f"cat-color-{n}.jpg")) for n in (1, 2))
    assert (one != two).any()


def test_a_format_that_the_name_of_the_output_contradicts(photo):
    done = retint_here("colorize", photo, "--format", "tiff", "-o", photo.with_name("a.jpg"))
    fails_in_one_line(done, "a.jpg", "--format")


def test_a_folder_that_there_is_not():
    fails_in_one_line(retint_here("nofolder"), "no command, file or folder 'nofolder'")
    fails_in_one_line(retint_here("colorise"), "did you mean 'colorize'?")


def test_provenance_says_what_became_of_a_tone(photo, tmp_path):
    with Image.open(photo) as cat:
        sepia = np.asarray(cat.convert("L"))[:, :, None] * np.array([1.0, 0.85, 0.65])
    Image.fromarray(sepia.astype(np.uint8)).save(tmp_path / "sepia.png")
    for source, options, tone in (
        (photo, (), "none"),
        (tmp_path / "sepia.png", (), "taken out"),
        (tmp_path / "sepia.png", ("--keep-tone",), "kept"),
    ):
        done = retint_here("colorize", source, *options, "-o", tmp_path / "o.png", "--overwrite")
        assert done.returncode == 0, done.stderr
        assert f"tone       {tone}" in re.sub(
            r"tone +", "tone       ", retint_here("info", tmp_path / "o.png").stdout
        )


def test_info_of_a_folder_names_what_it_tells_of(photo):
    fails_in_one_line(retint_here("info", photo.parent), "is a folder", "name a photograph")


def test_info_of_a_model_is_not_that_of_a_folder_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "sha256" in retint_here("info", "default").stdout


def test_info_says_the_checksum_that_results_carry(photo):
    weights = hashlib.sha256(model_path("default").read_bytes()).hexdigest()
    assert weights in retint_here("info", "default").stdout
