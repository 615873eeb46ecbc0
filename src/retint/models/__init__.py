"""Generators and the discriminator, in PyTorch: for training and export only.

>>> list_generators()
['encoder-unet', 'unet']
"""

from retint.models.encoder_unet import EncoderUNet
from retint.models.initialization import initialize
from retint.models.patchgan import PatchGAN
from retint.models.readout import Readout
from retint.models.registry import (
    Generator,
    create_generator,
    create_untrained,
    generator_options,
    list_generators,
)
from retint.models.unet import UNet

__all__ = [
    "EncoderUNet",
    "Generator",
    "PatchGAN",
    "Readout",
    "UNet",
    "create_generator",
    "create_untrained",
    "generator_options",
    "initialize",
    "list_generators",
]
