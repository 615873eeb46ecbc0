"""Make docs/images/samples.jpg: the samples above what the default model makes of them.

python scripts/make_gallery.py
"""

import cv2
import numpy as np

from make_failures import ROOT
from retint import Colorizer
from retint.photo import read_photo

TARGET = ROOT / "docs" / "images" / "samples.jpg"
HEIGHT = 220


def main() -> None:
    """Write the picture: a column each of grey and coloured."""
    colorizer = Colorizer()
    columns = []
    for path in sorted((ROOT / "samples").glob("*.jpg")):
        grey = np.dstack([read_photo(path).pixels] * 3)
        width = round(grey.shape[1] * HEIGHT / grey.shape[0])
        columns.append(
            np.vstack(
                [
                    cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)
                    for picture in (grey, colorizer(grey))
                ]
            )
        )
    cv2.imwrite(str(TARGET), np.hstack(columns)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(TARGET)


if __name__ == "__main__":
    main()
