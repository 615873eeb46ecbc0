"""The report's experiments, one after the other: train both models, compare them, test them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retint.errors import RetintError
from retint.evaluation.protocol import Evaluation, evaluate
from retint.evaluation.report import table_of, write_report
from retint.evaluation.systems import open_systems
from retint.models.pretrained import pretrained_weights
from retint.pictures import find_pictures
from retint.training.comparison import Comparison, compare_runs
from retint.training.distributed import launched
from retint.training.loop import train
from retint.training.recipe import Recipe, load_recipe
from retint.training.run import write_text

_REPORTS_ENCODER = "resnet18"
_CARRIED_ENCODER = "tf_efficientnet_lite0"  # its ImageNet weights come in a package

_ALWAYS = ("data.split=name",)
_SMALL = (*_ALWAYS, "data.size=128", "discriminator_width=32")
_SMALL_UNET = ("generator.options.width=32", "generator.options.depth=7")
_SMALL_ENCODER_UNET = ("generator.options.decoder_channels=[128,64,32,32,16]",)


@dataclass(frozen=True)
class Reproduction:
    """What came out.

    Attributes:
        comparison: of the two runs.
        evaluations: of both models, on each set of test photographs.
        report: the page that says it all, report.md.
    """

    comparison: Comparison
    evaluations: list[Evaluation]
    report: Path


def reproduce(
    photos: Path,
    out: Path,
    tests: Sequence[Path] = (),
    *,
    small: bool = False,
    changes: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Train the report's two models and compare them; go on where an earlier call stopped.

    `unet-gan` is the report's main model (chapter 6.1), the other is its pretrained ResNet18
    (6.3), or EfficientNet-lite0 in its place where ResNet18's weights cannot be had. The first 80%
    of the photographs by name train, the others validate.

    Args:
        photos: colour photographs; the report had 5000.
        out: folder for both runs, `comparison/`, a folder for each test, and report.md.
        tests: sets of photographs that the models never saw (6.2: COCO).
        small: 128 px and networks of half the width, for machines without a GPU.
        changes: further `key=value` for both recipes.
        say: told what comes next.
    """
    if launched() > 1:
        raise RetintError(
            "retint reproduce runs in one process: train its two runs with retint train on several "
            "GPUs first, then call it without the launcher"
        )
    found = [find_pictures(test) for test in tests]  # hours before they are wanted
    recipes = [_unet(small, changes), _pretrained(small, changes, say)]
    runs = [out / recipe.name for recipe in recipes]
    for recipe, run in zip(recipes, runs, strict=True):
        say(f"training {recipe.name} in {run}")
        train(photos, recipe, run, resume=True)
    comparison = compare_runs(runs, out / "comparison", overwrite=True)
    evaluations = []
    folders = folders_of(tests)
    for test, pictures, folder in zip(tests, found, folders, strict=True):
        say(f"testing on {test}")
        systems = open_systems([str(run) for run in runs])
        evaluation = evaluate(test, pictures, systems)
        write_report(evaluation, out / folder, overwrite=True)
        evaluations.append(evaluation)
    report = out / "report.md"
    write_text(report, _report(recipes, comparison, dict(zip(folders, evaluations, strict=True))))
    return Reproduction(comparison, evaluations, report)


def folders_of(tests: Sequence[Path]) -> list[str]:
    """Where the figures of each test go; with a number where several have one name.

    >>> folders_of([Path("a/val"), Path("b/val"), Path("coco")])
    ['test-1-val', 'test-2-val', 'test-coco']
    """
    stems = [test.stem for test in tests]
    return [
        f"test-{stem}" if stems.count(stem) == 1 else f"test-{number}-{stem}"
        for number, stem in enumerate(stems, start=1)
    ]


def _unet(small: bool, changes: Sequence[str]) -> Recipe:
    size = (*_SMALL, *_SMALL_UNET) if small else _ALWAYS
    return load_recipe("unet-gan", (*size, *changes))


def _pretrained(small: bool, changes: Sequence[str], say: Callable[[str], None]) -> Recipe:
    encoder = _CARRIED_ENCODER
    if not small:
        try:
            pretrained_weights(_REPORTS_ENCODER)
            encoder = _REPORTS_ENCODER
        except RetintError as error:
            say(f"{error}; {_CARRIED_ENCODER} takes its place")
    size = (*_SMALL, *_SMALL_ENCODER_UNET) if small else _ALWAYS
    name = encoder.removeprefix("tf_").replace("_", "-") + "-gan"
    named = (f"name={name}", f"generator.options.backbone={encoder}")
    return load_recipe("resnet18-gan", (*named, *size, *changes))


def _report(
    recipes: Sequence[Recipe], comparison: Comparison, evaluations: Mapping[str, Evaluation]
) -> str:
    parts = ["# The report's experiments, again", comparison.table.markdown()]
    parts += [f"- {remark}" for remark in comparison.remarks]
    parts += [f"![{graph.stem}](comparison/{graph.name})" for graph in comparison.graphs]
    for recipe in recipes:
        graphs = ("graph-1-d-and-g-gan", "graph-2-g", "graph-3-g-and-d", "validation")
        last = sum(stage.epochs for stage in recipe.stages)
        parts += [f"## {recipe.name}", recipe.description]
        parts += [f"![{graph}]({recipe.name}/graphs/{graph}.png)" for graph in graphs]
        parts += [
            "After the last epoch; grey, generated, truth:",
            f"![pictures]({recipe.name}/grids/epoch-{last:03d}.png)",
        ]
    for folder, evaluation in evaluations.items():
        protocol = evaluation.protocol
        parts += [f"## Tested on {protocol.photographs}", table_of(evaluation).markdown()]
        parts += [protocol.line() + ".", f"![contact sheet]({folder}/contact-sheet.jpg)"]
    return "\n\n".join(parts) + "\n"
