"""Real photographs for all tests."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from skimage import data

settings.register_profile("retint", deadline=None)  # machines are busy at times
settings.load_profile("retint")


@pytest.fixture(scope="session")
def colour_photo() -> NDArray[np.uint8]:
    """An ordinary colour photograph, (512, 512, 3)."""
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 colour photographs, cut from larger ones, for training."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for part in range(6):
            top, left = 40 * (part // 3), 60 * (part % 3)
            cut = picture[top : top + 200, left : left + 260]
            Image.fromarray(cut).save(folder / f"{name}-{part}.jpg", quality=92)
    return folder
