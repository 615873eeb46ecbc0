"""Make the black-and-white sample photographs from scikit-image's bundled ones.

    python scripts/make_samples.py

Grey is the CIE lightness of the photograph, so that nothing of its colours is left.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from retint import lab

SAMPLES = Path(__file__).parent.parent / "samples"


def grey(rgb: np.ndarray) -> np.ndarray:
    """Grey bytes of the same lightness as sRGB bytes (H, W, 3)."""
    lightness = lab.rgb_to_lightness(rgb / 255)
    zero = np.zeros_like(lightness)
    linear = lab.lab_to_linear(lightness, zero, zero)
    return (lab.linear_to_srgb(linear)[:, :, 0] * 255 + 0.5).astype(np.uint8)


def main() -> None:
    """Write the samples."""
    pictures = {
        "astronaut": grey(data.astronaut()),
        "cat": grey(data.chelsea()),
        "coffee": grey(data.coffee()),
        "rocket": grey(data.rocket()),
        "cameraman": data.camera(),
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(SAMPLES / f"{name}.jpg", quality=90)
        print(SAMPLES / f"{name}.jpg")


if __name__ == "__main__":
    main()
