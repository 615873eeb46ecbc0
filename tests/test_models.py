import numpy as np
import pytest
import torch

from retint.errors import RetintError
from retint.models import EncoderUNet, PatchGAN, Readout, UNet, create_generator, initialize
from retint.models.pretrained import pretrained_weights
from retint.palette import ab_palette

ENCODER = {"backbone": "resnet18", "pretrained": False}
SMALL = [
    ("unet", {"width": 8, "depth": 5}),
    ("encoder-unet", ENCODER),
    ("encoder-unet", {**ENCODER, "takes_hints": True}),
]


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_reports_generator():
    generator = UNet()
    assert parameters(generator) == 54_409_858
    assert generator(torch.zeros(2, 1, 256, 256)).shape == (2, 2, 256, 256)
    assert sum(isinstance(m, torch.nn.Dropout) for m in generator.modules()) == 3


def test_the_reports_discriminator():
    discriminator = PatchGAN().eval()
    assert parameters(discriminator) == 2_765_633
    picture = torch.zeros(1, 3, 256, 256, requires_grad=True)
    patch_logits = discriminator(picture)
    assert patch_logits.shape == (1, 1, 30, 30)
    patch_logits[0, 0, 15, 15].backward()
    seen = np.argwhere(picture.grad[0, 0].numpy() != 0)
    assert tuple(seen.max(axis=0) - seen.min(axis=0) + 1) == (70, 70)


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_every_generator_learns(name, options):
    generator = create_generator(name, **options)
    inputs = torch.rand(2, 4 if "takes_hints" in options else 1, 64, 96) * 2 - 1
    assert generator.without_hints(inputs[:, :1]).shape == inputs.shape
    ab = generator(inputs)
    step = generator.out_stride
    assert ab.shape == (2, 2, 64 // step, 96 // step)
    assert ab.abs().max() <= 1
    ab.square().mean().backward()
    assert all(p.grad is not None for p in generator.parameters() if p.requires_grad)


# Of a convolution of 4 x 4 from 64 to 128 channels; Glorot 2010 (16), He 2015 (10).
@pytest.mark.parametrize(
    ("scheme", "std"),
    [("normal", 0.02), ("xavier", 0.02 * (2 / 3072) ** 0.5), ("kaiming", (2 / 1024) ** 0.5)],
)
def test_initialisation(scheme, std):
    torch.manual_seed(0)
    generator = UNet(width=16, depth=5)
    initialize(generator, scheme)
    weight = generator.down[3][1].weight.detach()
    assert weight.shape == (128, 64, 4, 4)
    assert float(weight.mean()) == pytest.approx(0, abs=std / 20)
    assert float(weight.std()) == pytest.approx(std, rel=0.05)
    assert (generator.head[1].bias == 0).all()
    norms = [m for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    scales = torch.cat([norm.weight.detach() for norm in norms])
    assert float(scales.mean()) == pytest.approx(1, abs=0.005)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.15)
    assert all((norm.bias == 0).all() for norm in norms)


def test_dropout_is_noise_at_use_too():
    generator = UNet(width=8, depth=6).noisy_eval()
    inputs = torch.rand(1, 1, 64, 64)
    assert (generator(inputs) != generator(inputs)).any()


def test_packaged_weights_know_what_they_see():
    state = pretrained_weights("tf_efficientnet_lite0")
    grey = EncoderUNet("tf_efficientnet_lite0", decoder_channels=(8, 8, 8))
    expected = state["conv_stem.weight"].sum(dim=1)
    assert torch.allclose(grey.encoder.conv_stem.weight[:, 0], expected, atol=1e-5)


def test_weights_from_a_local_file(tmp_path):
    import timm

    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.pth")
    generator = EncoderUNet("resnet18", weights=str(tmp_path / "resnet18.pth"))
    assert parameters(generator) == pytest.approx(14_340_000, rel=0.01)


@pytest.mark.parametrize("backbone", ["densenet121", "ghostnet_100"])
def test_weights_of_backbones_that_timm_names_anew_when_it_cuts_them(tmp_path, backbone):
    import timm

    state = timm.create_model(backbone).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    encoder = EncoderUNet(backbone, weights=str(tmp_path / "weights.pth")).encoder
    sums = {float(tensor.double().sum()) for tensor in state.values()}
    convolutions = [tensor.detach() for tensor in encoder.parameters() if tensor.dim() == 4]
    assert all(float(tensor.double().sum()) in sums for tensor in convolutions[1:])  # not the stem


def test_weights_of_another_width_are_told_in_one_line(tmp_path):
    """Whose keys are the same."""
    import timm

    wider, file = timm.create_model("mobilenetv3_small_100"), tmp_path / "wider.pth"
    torch.save(wider.state_dict(), file)
    with pytest.raises(RetintError, match=r"wider.pth does not fit .*: size mismatch") as caught:
        create_generator("encoder-unet", backbone="mobilenetv3_small_050", weights=str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_weights_that_are_missing_are_never_random_ones(tmp_path, content):
    path = tmp_path / "resnet18.pth"
    if content:
        path.write_bytes(content)
    with pytest.raises(RetintError, match=r"resnet18\.pth"):
        EncoderUNet("resnet18", weights=str(path))


def test_unknown_names_say_what_there_is():
    with pytest.raises(RetintError, match="encoder-unet, unet"):
        create_generator("transformer")


def test_readout_by_default_changes_nothing():
    ab = torch.rand(2, 2, 3, 4) - 0.5
    assert torch.equal(Readout()(ab), ab)


def test_readout_mixes_in_the_colour_that_the_palette_is_sure_of():
    palette = torch.from_numpy(ab_palette())
    logits = torch.zeros(1, len(palette), 1, 1)
    logits[0, 100] = 50
    ab = torch.tensor([0.1, 0.2]).view(1, 2, 1, 1)
    mixed = Readout(gain=2, palette=0.25)(ab, logits)
    expected = 0.75 * 2 * ab.flatten() + 0.25 * palette[100] / 110
    torch.testing.assert_close(mixed.flatten(), expected)


@pytest.mark.parametrize("chroma", [1.0, 20.0, 60.0, 80.0])
def test_vividness_helps_pale_colours_most_and_keeps_their_order(chroma):
    readout = Readout(vividness=2, vivid_chroma=40)

    def read(chroma):
        direction = torch.tensor([0.6, -0.8]).view(1, 2, 1, 1)
        vivid = readout(direction * chroma / 110) * 110
        torch.testing.assert_close(vivid / vivid.norm(), direction)  # the hue stays
        return float(vivid.norm())

    assert read(chroma) > read(chroma / 2)
    assert (read(chroma) > chroma) == (chroma < 40)
    assert read(chroma) / chroma < read(chroma / 2) / (chroma / 2)
    assert read(40.0) == pytest.approx(40)
