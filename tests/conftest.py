"""Real photographs for all tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from skimage import data

# Machines are busy at times, and a run is to say the same as the one before.
settings.register_profile("retint", deadline=None, derandomize=True)
settings.load_profile("retint")


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the user's: neither caches nor settings that commands heed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RETINT_TOKEN", "SOURCE_DATE_EPOCH", "FORCE_COLOR", "COLUMNS"):
            patch.delenv(name, raising=False)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture
def same_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of all runs carry one date, so that their bytes can be compared."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")


@pytest.fixture(scope="session")
def colour_photo() -> NDArray[np.uint8]:
    """An ordinary colour photograph, (512, 512, 3)."""
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 colour photographs, cut from larger ones, for training."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for part in range(6):
            top, left = 40 * (part // 3), 60 * (part % 3)
            cut = picture[top : top + 200, left : left + 260]
            Image.fromarray(cut).save(folder / f"{name}-{part}.jpg", quality=92)
    return folder


@pytest.fixture
def scans(tmp_path: Path, colour_photo: NDArray[np.uint8]) -> Path:
    """A folder of 16 grey photographs, two levels deep."""
    folder = tmp_path / "scans"
    for number in range(16):
        path = folder / ("old" if number % 2 else ".") / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut = colour_photo[number * 20 : number * 20 + 160, :200]
        Image.fromarray(cut).convert("L").save(path)
    return folder
