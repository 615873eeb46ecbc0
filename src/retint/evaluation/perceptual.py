"""Figures that a network judges by: distances of two pictures, and features of one.

Pictures are sRGB bytes, (H, W, 3) uint8. The networks run on the CPU, in evaluation mode.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retint.errors import RetintError
from retint.models.pretrained import pretrained_weights, read_weights

Pixels = NDArray[np.uint8]

FEATURE_BACKBONE = "tf_efficientnet_lite0"
INCEPTION_SIDE = 299  # pixels, to which the network resizes what it is given


class ShiftTolerantLpips:
    """ST-LPIPS, AlexNet (Ghildyal and Liu 2022, "Shift-tolerant Perceptual Similarity Metric").

    Its weights come with the package `stlpips-pytorch`, so it needs no network. The values cannot
    be compared with published LPIPS.

    Attributes:
        network: the package's; its `net` gives the activations of AlexNet's five convolutions.
    """

    def __init__(self) -> None:
        # It prints as it is imported and set up.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from stlpips_pytorch import stlpips

            network: nn.Module = stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
        self.network: Any = network.eval().requires_grad_(False)

    def __call__(self, result: Pixels, truth: Pixels) -> float:
        """Distance of two pictures of one shape; 0 for equal ones."""
        with torch.no_grad():
            distance: Tensor = self.network(signed(result), signed(truth))
        return float(distance)


class Lpips:
    """LPIPS, AlexNet (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features").

    Args:
        backbone: torchvision's ImageNet weights of AlexNet, a .pth file; the linear heads come
            with torchmetrics.

    Raises:
        RetintError: if the file holds no such weights.
    """

    def __init__(self, backbone: Path) -> None:
        from torchmetrics.functional.image.lpips import _LPIPS

        if not backbone.is_file():
            raise RetintError(f"no weights file {backbone}: give torchvision's AlexNet weights")
        weights = read_weights(backbone)
        # Random: the metric would have its backbone from torch's downloads and from nowhere else.
        network: Any = _LPIPS(net="alex", pnet_rand=True)
        try:
            for part in network.net.children():
                part.load_state_dict(
                    {name: weights[f"features.{name}"] for name in part.state_dict()}
                )
        except (KeyError, RuntimeError) as error:
            raise RetintError(f"{backbone} does not hold torchvision's AlexNet weights") from error
        self._network = network

    def __call__(self, result: Pixels, truth: Pixels) -> float:
        """Distance of two pictures of one shape; 0 for equal ones."""
        with torch.no_grad():
            return float(self._network(signed(result), signed(truth)))


class LiteFeatures:
    """Pooled features of EfficientNet-lite0, ImageNet weights, for Frechet distances."""

    def __init__(self) -> None:
        network: Any = timm.create_model(FEATURE_BACKBONE)
        network.load_state_dict(pretrained_weights(FEATURE_BACKBONE), strict=False)
        network.reset_classifier(0)
        self._network: Any = network.eval().requires_grad_(False)

    def __call__(self, picture: Pixels) -> NDArray[np.float32]:
        """Features (1280,) of a picture at its own size."""
        with torch.no_grad():
            features: NDArray[np.float32] = self._network(signed(picture))[0].numpy()
        return features


class InceptionFeatures:
    """Pooled features of the Inception V3 of FID (Heusel et al. 2017), resized to 299 x 299.

    Args:
        weights: torch-fidelity's file of the TensorFlow weights, `pt_inception-2015-12-05*.pth`.

    Raises:
        RetintError: if the file holds no such weights.
    """

    def __init__(self, weights: Path) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        if not weights.is_file():
            raise RetintError(f"no weights file {weights}: give torch-fidelity's Inception weights")
        # It would run what is pickled in a file: it gets the tensors alone.
        tensors = io.BytesIO()
        torch.save(read_weights(weights), tensors)
        tensors.seek(0)
        try:
            self._network: Any = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=tensors
            )
        except RuntimeError as error:
            raise RetintError(f"{weights} does not hold FID's Inception weights") from error

    def __call__(self, picture: Pixels) -> NDArray[np.float32]:
        """Features (2048,) of a picture."""
        pixels = torch.tensor(picture).permute(2, 0, 1).unsqueeze(0)
        with torch.no_grad():
            features: NDArray[np.float32] = self._network(pixels)[0][0].numpy()
        return features


def signed(picture: Pixels) -> Tensor:
    """Picture as the networks want it, (1, 3, H, W) in [-1, 1]."""
    pixels = torch.tensor(picture).permute(2, 0, 1).unsqueeze(0)
    return pixels.float() / 127.5 - 1
