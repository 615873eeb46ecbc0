"""A training step against the report's words: what is computed, how often, from what."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from skimage import data
from skimage.color import rgb2lab
from torch.nn import functional

from retint import lab
from retint.evaluation.metrics import colorfulness
from retint.models import PatchGAN, create_generator
from retint.pictures import find_pictures
from retint.training.data import load_photographs
from retint.training.degrade import aged_grey
from retint.training.hints import random_hints
from retint.training.losses import PerceptualLoss, missing_colorfulness
from retint.training.networks import Networks
from retint.training.recipe import load_recipe
from retint.training.step import LOSSES, Step
from retint.training.windows import Windows

TINY = ("generator.options.width=8", "generator.options.depth=6", "precision=fp32")


@pytest.mark.parametrize("kind", ["vanilla", "lsgan"])
def test_a_step_is_the_reports(kind):
    """D: the mean of its losses; G: its GAN loss and 100 times L1; G runs once for both."""
    recipe = load_recipe("unet-gan", (*TINY, f"stages.0.gan_loss={kind}"))
    torch.manual_seed(0)
    generator = create_generator(recipe.generator.name, **recipe.generator.options)
    discriminator = PatchGAN(width=8)
    generated, seen, patch_logits = [], [], []

    def look(network, inputs, output):
        if network is generator:
            generated.append(output.detach())
        else:
            seen.append(inputs[0].detach())
            patch_logits.append(output.detach())

    for network in (generator, discriminator):
        network.register_forward_hook(look)
    step = Step(
        recipe,
        recipe.stages[0],
        generator,
        discriminator,
        None,
        Accelerator(cpu=True),
        torch.ones(1),
    )
    picture = data.astronaut()[:256, :256]
    rgb = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    losses = dict(zip(LOSSES, step(rgb).tolist(), strict=True))

    assert len(generated) == 1
    truth = torch.from_numpy(rgb2lab(picture).astype(np.float32)).permute(2, 0, 1)[None]
    lightness, ab = truth[:, :1] / 50 - 1, truth[:, 1:] / 110
    fake, real, judged = seen
    torch.testing.assert_close(real, torch.cat((lightness, ab), 1), atol=2e-3, rtol=0)
    torch.testing.assert_close(fake, torch.cat((lightness, generated[0]), 1), atol=2e-3, rtol=0)
    assert torch.equal(judged, fake)

    def gan(logits, verdict):
        wanted = torch.full_like(logits, verdict)
        if kind == "lsgan":
            return functional.mse_loss(logits, wanted).item()
        return functional.binary_cross_entropy_with_logits(logits, wanted).item()

    l1 = 100 * (generated[0] - ab).abs().mean().item()
    expected = {
        "loss_d_fake": gan(patch_logits[0], 0.0),
        "loss_d_real": gan(patch_logits[1], 1.0),
        "loss_g_gan": gan(patch_logits[2], 1.0),
        "loss_g_l1": l1,
    }
    expected["loss_d"] = (expected["loss_d_fake"] + expected["loss_d_real"]) / 2
    expected["loss_g"] = expected["loss_g_gan"] + l1
    assert {name: losses[name] for name in expected} == pytest.approx(expected, rel=0.01)


def test_the_average_of_a_short_run_is_of_learnt_weights(photographs):
    """A constant decay would leave most of the initial weights in it."""
    recipe = load_recipe("unet-gan", (*TINY, "data.size=64", "ema=0.999", "discriminator_width=8"))
    accelerator = Accelerator(cpu=True)
    networks = Networks(recipe, accelerator, None)
    step, _ = networks.make_step(0, torch.ones(1))
    weight = next(networks.bare.parameters())
    values = [weight.detach().clone()]
    found = load_photographs(find_pictures(photographs)[:4], recipe.data)
    windows = Windows(found, recipe.data, accelerator.device)
    for done in range(20):
        step.set_progress(done / 20, done)
        step(windows.batch(torch.arange(4), train=False))
        values.append(weight.detach().clone())
    step.set_progress(1.0, 20_000)
    assert float(step._kept) + float(step._taken) == 1  # rounded apart, weights would drift
    average = next(networks.ema.parameters())
    assert (average - values[-1]).norm() < 0.3 * (average - values[0]).norm()
    assert (average - values[-1]).norm() > 0


def test_a_picture_ages_alike_whatever_other_threads_do(photographs):
    """`evaluate --aged` ages pictures in threads, once for each model."""
    pictures = [np.asarray(Image.open(path)) for path in sorted(photographs.iterdir())[:8]]
    alone = list(map(aged_grey, pictures, range(8)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for aged, other in zip(alone, pool.map(aged_grey, pictures, range(8)), strict=True):
                assert (aged == other).all()


def test_training_turns_pictures_a_little_and_validation_does_not(photographs):
    """Section 6.1: a small random rotation. A second picture says how far, by its best match."""
    import cv2

    changes = ("data.size=96", "data.fit=squash", "data.flip=false", "data.rotate=8")
    recipe = load_recipe("unet-gan", changes)
    found = load_photographs(find_pictures(photographs)[:1], recipe.data)
    windows = Windows(found, recipe.data, torch.device("cpu"))
    torch.manual_seed(1)
    one = torch.zeros(1, dtype=torch.long)
    upright = windows.batch(one, train=False)[0]
    torch.testing.assert_close(windows.batch(one, train=False)[0], upright)
    middle = upright.permute(1, 2, 0).numpy()

    def distance(degrees, turned):
        matrix = cv2.getRotationMatrix2D((47.5, 47.5), degrees, 1)
        again = cv2.warpAffine(middle, matrix, (96, 96), borderMode=cv2.BORDER_REPLICATE)
        return np.abs(again - turned)[16:-16, 16:-16].mean()

    angles = []
    for _ in range(6):
        turned = windows.batch(one, train=True)[0].permute(1, 2, 0).numpy()
        angles.append(min(range(-15, 16), key=lambda degrees: distance(degrees, turned)))
    assert max(map(abs, angles)) <= 8
    assert min(angles) < 0 < max(angles)


def test_the_distance_of_features_is_least_for_the_true_colours():
    """And the step charges for it: Johnson et al. 2016, section 3.2."""
    picture = data.astronaut()[:256, :256]
    truth = torch.from_numpy(rgb2lab(picture).astype(np.float32)).permute(2, 0, 1)[None]
    lightness, ab = truth[:, :1] / 50 - 1, truth[:, 1:] / 110
    distance = PerceptualLoss("tf_efficientnet_lite0")
    shares = [share * ab for share in (1.0, 0.9, 0.5, 0.0)]
    distances = [distance(lightness, share, ab).item() for share in shares]
    assert distances[0] == 0
    assert distances == sorted(distances)

    options = "{backbone: tf_efficientnet_lite0, decoder_channels: [16, 16, 16], palette: true}"
    stage = "{name: one, epochs: 1, l1: 100, l2: 10, palette: 1, perceptual: %d}"
    rgb = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    paid = []
    for weight in (0, 5):
        changes = (f"generator.options={options}", f"stages=[{stage % weight}]", "data.degrade=0")
        recipe = load_recipe("default", (*changes, "precision=fp32"))
        torch.manual_seed(0)
        generator = create_generator(recipe.generator.name, **recipe.generator.options)
        palette = torch.ones(generator.palette_size)
        networks = generator, PatchGAN(width=8), None
        step = Step(recipe, recipe.stages[0], *networks, Accelerator(cpu=True), palette)
        losses = dict(zip(LOSSES, step(rgb).tolist(), strict=True))
        assert losses["loss_g_gan"] == losses["loss_d"] == 0
        paid.append(losses["loss_g"] - losses["loss_g_l1"])
    assert paid[1] > paid[0] + 0.1


def test_a_colourfulness_term_makes_colours_stronger():
    """It is the evaluation's figure, and even a grey answer learns from it."""
    picture = data.astronaut()[:256:4, :256:4]
    rgb = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    found = colorfulness(picture / 255)
    assert missing_colorfulness(rgb).item() == pytest.approx(1 - found / 100, abs=1e-3)

    grey = rgb.mean(dim=1, keepdim=True).expand_as(rgb).clone().requires_grad_(True)
    missing_colorfulness(grey).backward()
    assert grey.grad.isfinite().all()

    after = []
    for weight in (0, 20):
        stage = f"{{name: one, epochs: 1, l1: 100, lr_g: 0.001, colorfulness: {weight}}}"
        recipe = load_recipe("unet-gan", (*TINY, "data.size=64", f"stages=[{stage}]"))
        torch.manual_seed(0)
        generator = create_generator(recipe.generator.name, **recipe.generator.options)
        networks = generator, PatchGAN(width=8), None
        step = Step(recipe, recipe.stages[0], *networks, Accelerator(cpu=True), torch.ones(1))
        for _ in range(10):
            step(rgb)
        lightness = lab.rgb_to_lab(rgb, axis=1)[:, :1] / 50 - 1
        with torch.no_grad():
            result = lab.normalized_lab_to_rgb(lightness, generator(lightness), axis=1)
        after.append(colorfulness(result[0].permute(1, 2, 0).clamp(0, 1).numpy()))
    assert after[1] > 1.2 * after[0]


def test_a_stage_can_judge_what_is_read_out():
    """D sees what the model file will give, and G learns both of its answers from D."""
    options = "{backbone: tf_efficientnet_lite0, decoder_channels: [16, 16, 16], palette: true}"
    stage = "{name: one, epochs: 1, gan: 1, read_out: true}"
    changes = (f"generator.options={options}", f"stages=[{stage}]", "data.degrade=0")
    recipe = load_recipe("default", (*changes, "precision=fp32", "ema=null"))
    generator = create_generator(recipe.generator.name, **recipe.generator.options)
    discriminator = PatchGAN(width=8)
    readout = recipe.readout.build()
    answers, seen = [], []
    generator.register_forward_hook(lambda *call: answers.append(call[2]))
    discriminator.register_forward_hook(lambda *call: seen.append(call[1][0]))
    networks = generator, discriminator, None
    palette = torch.ones(generator.palette_size)
    step = Step(recipe, recipe.stages[0], *networks, Accelerator(cpu=True), palette)
    rgb = torch.from_numpy(data.astronaut()[:256, :256]).permute(2, 0, 1)[None].float() / 255
    losses = dict(zip(LOSSES, step(rgb).tolist(), strict=True))
    fake = seen[0]
    torch.testing.assert_close(fake[:, 1:], readout(*answers[0]).detach())
    assert losses["loss_g"] == pytest.approx(losses["loss_g_gan"])
    for head in (generator.ab_head, generator.palette_head):
        assert head.weight.grad.abs().max() > 0


def test_random_hints_are_true_colours_of_small_squares_and_of_half_the_pictures():
    torch.manual_seed(0)
    across = torch.linspace(-0.5, 0.5, 64)
    ab = torch.stack((across.expand(64, 64), across.expand(64, 64).T)).expand(400, 2, 64, 64)
    hints = random_hints(ab)
    mask = hints[:, 2:]
    assert set(mask.unique().tolist()) == {0, 1}
    assert not (hints[:, :2] * (1 - mask)).any()
    # A square reaches 4 pixels from its middle, whose colour is a mean over 2 more at the border.
    assert ((hints[:, :2] - ab) * mask).abs().max() <= 6 / 63
    shown = mask.sum(dim=(1, 2, 3))
    assert 0.4 < (shown == 0).float().mean() < 0.6
    assert ((shown > 0) & (shown <= 9)).float().mean() > 0.02  # one point alone, a small one
    assert shown.max() <= 8 * 9 * 9
