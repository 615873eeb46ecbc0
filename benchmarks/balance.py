"""Choose photographs so that no source outweighs the others, to see what that does to a training.

    python benchmarks/balance.py PHOTOS -o FOLDER --count 5000

A photograph's source is its name up to the first underscore. All of a small source are taken, and
equally many of each larger one. FOLDER is then PHOTOS for `benchmarks/ablation.py`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path, PurePath

from retint.dataset.pack import pack_pictures
from retint.pictures import Picture, find_pictures


def balanced(pictures: list[Picture], count: int) -> list[Picture]:
    """So many of them: the first of each source, then the second of each, and so on."""
    seen: Counter[str] = Counter()

    def turn(picture: Picture) -> int:
        source = PurePath(picture.name).name.split("_")[0]
        seen[source] += 1
        return seen[source]

    return sorted(pictures, key=turn)[:count]


def main() -> None:
    """Pack the chosen photographs into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", "-o", type=Path, required=True)
    parser.add_argument("--count", type=int, default=5000)
    arguments = parser.parse_args()
    pack_pictures(balanced(find_pictures(arguments.photos), arguments.count), arguments.out)


if __name__ == "__main__":
    main()
