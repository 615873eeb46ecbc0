"""Make failures.jpg: samples where the default model is wrong, beside the truth.

python scripts/make_failures.py
"""

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from make_samples import grey
from retint import Colorizer

ROOT = Path(__file__).parent.parent
TARGETS = [  # the second is shown by the page
    ROOT / "docs" / "images" / "failures.jpg",
    ROOT / "src" / "retint" / "web" / "static" / "failures.jpg",
]
HEIGHT = 200


def main() -> None:
    """Write the picture: a column each of grey, coloured and true."""
    colorizer = Colorizer()
    columns = []
    for truth in (data.astronaut(), data.coffee(), data.rocket()):
        before = grey(truth)
        pictures = (np.dstack([before] * 3), colorizer(before), truth)
        width = round(truth.shape[1] * HEIGHT / truth.shape[0])
        columns.append(
            np.vstack(
                [cv2.resize(p, (width, HEIGHT), interpolation=cv2.INTER_AREA) for p in pictures]
            )
        )
    for target in TARGETS:
        cv2.imwrite(str(target), np.hstack(columns)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(target)


if __name__ == "__main__":
    main()
