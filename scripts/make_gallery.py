"""Make samples.jpg and failures.jpg: what the default model makes of photographs, and its errors.

python scripts/make_gallery.py
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from make_samples import SAMPLES, grey
from retint import Colorizer
from retint.photo import read_photo

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
STATIC = ROOT / "src" / "retint" / "web" / "static"  # of the page, which shows the failures


def main() -> None:
    """Write grey above coloured of the samples; grey, coloured and true of the failures."""
    colorizer = Colorizer()
    samples = [np.dstack([read_photo(path).pixels] * 3) for path in sorted(SAMPLES.glob("*.jpg"))]
    write([(seen, colorizer(seen)) for seen in samples], 220, 88, [IMAGES / "samples.jpg"])
    truths = [(grey(truth), truth) for truth in (data.astronaut(), data.coffee(), data.rocket())]
    failures = [(np.dstack([seen] * 3), colorizer(seen), truth) for seen, truth in truths]
    write(failures, 200, 85, [IMAGES / "failures.jpg", STATIC / "failures.jpg"])


def write(
    columns: Sequence[Sequence[np.ndarray]], height: int, quality: int, targets: Sequence[Path]
) -> None:
    """Write columns of pictures of one height as JPEG, to each of `targets`."""
    shown = []
    for pictures in columns:
        size = (round(pictures[0].shape[1] * height / pictures[0].shape[0]), height)
        shown.append(
            np.vstack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
        )
    for target in targets:
        cv2.imwrite(str(target), np.hstack(shown)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        print(target)


if __name__ == "__main__":
    main()
