"""Training from photographs that are read as they come."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from upath import UPath

from retint.dataset.pack import pack_pictures
from retint.errors import RetintError
from retint.pictures import Picture, find_pictures
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
    assert "2 photographs so far are of no use" in capsys.readouterr().err
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
        with pytest.raises(RetintError, match=r"stream-shards.*tar cannot be read now"):
            stream.take(order[:2])
    finally:
        for file, data in files.items():
            file.write_bytes(data)
