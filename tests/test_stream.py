"""Training from photographs that are read as they come."""

import io
import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image
from safetensors.torch import load_file
from upath import UPath

from retint.dataset.pack import pack_pictures
from retint.errors import RetintError
from retint.pictures import Picture, find_pictures, open_picture
from retint.training.data import load_photographs
from retint.training.loop import train
from retint.training.recipe import Data, load_recipe
from retint.training.stream import Stream
from test_training import TINY

STREAM = (*TINY, "data.stream=4", "checkpoint_steps=1", "discriminator_width=8")


@pytest.fixture(scope="module")
def shards(photographs, tmp_path_factory):
    """Two shards of small photographs, where nothing local can be opened."""
    folder = tmp_path_factory.mktemp("shards") / "packed"
    pack_pictures(find_pictures(photographs), folder, shard_bytes=200_000)
    remote = UPath("memory://stream-shards")
    for file in folder.glob("*.tar"):
        (remote / file.name).write_bytes(file.read_bytes())
    assert len(list(remote.iterdir())) > 1
    return remote


def test_an_epoch_holds_each_photograph_once_and_no_archive_is_spread(tmp_path):
    pictures = [
        Picture(f"{number}", tmp_path / f"{number % 10}.tar", number, 1) for number in range(1000)
    ]
    stream = Stream(pictures, Data(stream=50))
    some = torch.arange(0, 1000)
    order = stream.shuffled(some, 1).tolist()
    assert sorted(order) == some.tolist()
    assert order == stream.shuffled(some, 1).tolist()
    assert order != stream.shuffled(some, 2).tolist()
    archives = [number % 10 for number in order]
    first = archives[0]
    assert sum(archive == first for archive in archives[400:]) < 5  # long read to its end
    neighbours = np.diff([number // 10 for number in order])
    assert (neighbours != 1).mean() > 0.9


def test_a_stream_gives_what_the_cache_gives(shards, tmp_path):
    data = Data(size=64, fit="crop", stream=3)
    pictures = find_pictures(shards)
    cached = load_photographs(pictures, data, cache=tmp_path)
    stream = Stream(pictures, data)
    order = stream.shuffled(torch.arange(len(pictures)), 5)
    stream.expect(order)
    for some in order.split(2):
        for got, wanted in zip(stream.take(some), cached.take(some), strict=True):
            assert (got == wanted).all()


def test_training_on_a_stream_goes_on_inside_an_epoch(shards, tmp_path, monkeypatch):
    recipe = load_recipe("unet-gan", (*STREAM, "stages.0.epochs=2"))
    train(shards, recipe, tmp_path / "whole", cache=tmp_path)
    assert not list(tmp_path.glob("photographs-*"))  # it took no disk

    class Stopped(Exception):  # noqa: N818 - a stop, not an error
        pass

    taken = itertools.count()
    take = Stream.take

    def stop_at_some_time(self, indices):
        if next(taken) == 8:
            raise Stopped
        return take(self, indices)

    monkeypatch.setattr(Stream, "take", stop_at_some_time)
    with pytest.raises(Stopped):
        train(shards, recipe, tmp_path / "stopped", cache=tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / "generator.onnx").exists()
    train(shards, recipe, tmp_path / "stopped", resume=True, cache=tmp_path)
    whole, resumed = (
        load_file(tmp_path / name / "generator.safetensors") for name in ("whole", "stopped")
    )
    assert all((whole[key] == resumed[key]).all() for key in whole)


def test_bad_photographs_of_a_stream_are_replaced_and_told(photographs, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in list(photographs.iterdir())[:12]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "a-text.jpg").write_text("no picture")
    Image.new("RGB", (100, 100), (90, 90, 90)).save(folder / "b-grey.png")
    recipe = load_recipe("unet-gan", (*STREAM, "stages.0.epochs=1", "data.split=name"))
    train(folder, recipe, tmp_path / "run")
    assert "2 left out (listed in run.json)" in capsys.readouterr().err  # seen for the mean colour
    left_out = json.loads((tmp_path / "run" / "run.json").read_text())["left_out"]
    assert {line.split(":")[0] for line in left_out} == {"photos/a-text.jpg", "photos/b-grey.png"}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert np.isfinite(json.loads(lines[-1])["psnr"])


def test_a_network_that_fails_is_named(shards, tmp_path):
    pictures = find_pictures(shards)
    stream = Stream(pictures, Data(size=64, stream=3))
    order = stream.shuffled(torch.arange(len(pictures)), 5)
    files = {file: file.read_bytes() for file in shards.iterdir()}
    for file in files:
        file.unlink()
    try:
        stream.expect(order)
        with pytest.raises(RetintError, match=r"stream-shards.*tar does not exist"):
            stream.take(order[:2])
    finally:
        for file, data in files.items():
            file.write_bytes(data)


@pytest.fixture
def unsteady(monkeypatch):
    """A way to let a store fail so often with each file, as a driver's own error; no pauses."""
    failed: Counter[str] = Counter()
    failures = 0
    opened, fetched = MemoryFileSystem._open, MemoryFileSystem.cat_file

    def fail_some_times(path):
        failed[path] += 1
        if failed[path] <= failures:
            raise RuntimeError("the server is on fire")

    def open_(self, path, mode="rb", **options):
        if mode == "rb":
            fail_some_times(path)
        return opened(self, path, mode, **options)

    def cat_file(self, path, start=None, end=None, **options):
        fail_some_times(path)
        return fetched(self, path, start, end, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", open_)
    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    monkeypatch.setattr("time.sleep", lambda _: None)

    def fail(times):
        nonlocal failures
        failures = times
        failed.clear()

    return fail


@pytest.fixture(params=["files", "shards", "table"])
def remote(request, photographs, shards):
    """The photographs in a store, in each of the ways that are read."""
    folder = UPath(f"memory://unsteady-{request.param}")
    files = sorted(photographs.iterdir())
    if request.param == "table":
        cells = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
        table = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"image": cells}), table, row_group_size=5)
        (folder / "table.parquet").write_bytes(table.getvalue())
        return folder
    for file in files if request.param == "files" else shards.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_network_that_fails_for_a_moment_ends_nothing(remote, unsteady):
    data = Data(size=64, stream=3)
    unsteady(2)
    pictures = find_pictures(remote)
    stream = Stream(pictures, data)
    order = stream.shuffled(torch.arange(len(pictures)), 5)
    unsteady(2)
    stream.expect(order)
    taken = torch.cat([stream.take(some)[0] for some in order.split(4)])
    assert len(taken) == 24
    assert not stream.left_out


def test_a_driver_that_fails_for_good_ends_the_training_in_one_line(remote, unsteady):
    unsteady(0)
    pictures = find_pictures(remote)
    stream = Stream(pictures, Data(size=64, stream=3))
    order = stream.shuffled(torch.arange(len(pictures)), 5)
    unsteady(3)
    stream.expect(order)
    with pytest.raises(RetintError, match=r"memory://.* cannot be read \(the server is on fire"):
        stream.take(order[:4])


def test_a_bug_in_reading_ends_the_training_with_its_traceback(photographs):
    pictures = find_pictures(photographs)
    broken = [*pictures[:-1], replace(pictures[-1], offset="none")]
    stream = Stream(broken, Data(size=64, stream=3))
    order = stream.shuffled(torch.arange(len(pictures)), 5)
    stream.expect(order)
    with pytest.raises(TypeError):
        stream.take(order)


def test_damaged_rows_of_a_table_are_left_out(photographs, tmp_path):
    cells = [{"bytes": file.read_bytes(), "path": file.name} for file in photographs.iterdir()]
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": cells}), path, row_group_size=5)
    data = path.read_bytes()
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(0)
    unreadable = 0
    for place in range(column.dictionary_page_offset, column.dictionary_page_offset + 30):
        damaged = tmp_path / f"{place}.parquet"
        damaged.write_bytes(data[:place] + b"\x7f" + data[place + 1 :])
        pictures = find_pictures(damaged)
        unreadable += str(open_picture(pictures[0])).startswith("unreadable (")
        assert isinstance(open_picture(pictures[5]), Image.Image)
    assert unreadable > 5
