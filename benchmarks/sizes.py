"""How the default model bears being shown photographs at other sizes than it learnt from.

    python benchmarks/sizes.py PHOTOS [--limit N]

The same photographs, seen at each of `SIZES` (`retint colorize --detail`), measured as `retint
evaluate` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring import measure
from retint import Colorizer
from retint.evaluation.systems import JudgedPicture, Pixels

LIMIT = 123  # photographs: so many are in the table of docs/models.md
SIZES = (128, 192, 256, 320, 384, 512)


class Seen:
    """The default model, which sees the short side of photographs with so many pixels."""

    def __init__(self, colorizer: Colorizer, side: int) -> None:
        self.name = f"{side} px"
        self._colorizer, self._side = colorizer, side

    def color(self, picture: JudgedPicture) -> Pixels:
        """See `retint.evaluation.systems.System`."""
        return self._colorizer.colorize_pixels(picture.grey, detail=self._side)


def main() -> None:
    """Print the table as markdown, then the protocol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--limit", type=int, default=LIMIT, help="photographs, spread over all")
    arguments = parser.parse_args()
    colorizer = Colorizer()
    measure(arguments.photos, arguments.limit, [Seen(colorizer, side) for side in SIZES])


if __name__ == "__main__":
    main()
