"""The report's experiments, one after the other: train both models, compare them, test them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retint.errors import RetintError
from retint.evaluation.protocol import Evaluation, evaluate
from retint.evaluation.report import table_of, write_report
from retint.evaluation.systems import open_systems
from retint.models import generator_options
from retint.models.pretrained import pretrained_weights
from retint.pictures import find_pictures
from retint.training.comparison import Comparison, compare_runs
from retint.training.distributed import launched
from retint.training.loop import train
from retint.training.networks import fitting_generator, require_start
from retint.training.recipe import Recipe, load_recipe
from retint.whole import write_text

_REPORTS_ENCODER = "resnet18"
_CARRIED_ENCODER = "tf_efficientnet_lite0"  # its ImageNet weights come in a package

_OPTIONS = "generator.options."
_TITLE = "# The report's experiments, again"

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
        out: folder for both runs, `comparison/`, a folder for each test, and report.md; only a
            report.md that this function wrote is replaced.
        tests: sets of photographs that the models never saw (6.2: COCO).
        small: 128 px and networks of half the width, for machines without a GPU.
        changes: further `key=value` for both recipes; an option of generators goes to those that
            have it.
        say: told what comes next.

    Raises:
        RetintError: if photographs, recipes or `out` are of no use, told before the first training
            where that can be seen.
    """
    if launched() > 1:
        raise RetintError(
            "retint reproduce runs in one process: train its two runs with retint train on several "
            "GPUs first, then call it without the launcher"
        )
    found = [find_pictures(test) for test in tests]  # hours before they are wanted
    report = out / "report.md"
    _require_own(report)
    recipes = [_unet(small, changes), _pretrained(small, changes, say)]
    _require_known(recipes, changes)
    runs = [out / recipe.name for recipe in recipes]
    for recipe, run in zip(recipes, runs, strict=True):
        is_new = not (run / "checkpoint.pt").exists()
        fitting_generator(recipe, pretrained=is_new)
        if is_new:
            require_start(recipe)
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
    return _changed("unet-gan", size, changes)


def _pretrained(small: bool, changes: Sequence[str], say: Callable[[str], None]) -> Recipe:
    size = (*_SMALL, *_SMALL_ENCODER_UNET) if small else _ALWAYS
    options = _changed("resnet18-gan", size, changes).generator.options
    encoder = _CARRIED_ENCODER if small else _encoder(options.get("weights"), say)
    name = encoder.removeprefix("tf_").replace("_", "-") + "-gan"
    named = (f"name={name}", f"generator.options.backbone={encoder}")
    return _changed("resnet18-gan", (*named, *size), changes)


def _encoder(weights: str | None, say: Callable[[str], None]) -> str:
    """The report's, or another where nobody gives its weights and they cannot be had."""
    if weights is not None:
        return _REPORTS_ENCODER
    try:
        pretrained_weights(_REPORTS_ENCODER)
    except RetintError as error:
        say(f"{error}; {_CARRIED_ENCODER} takes its place")
        return _CARRIED_ENCODER
    return _REPORTS_ENCODER


def _changed(name: str, own: Sequence[str], changes: Sequence[str]) -> Recipe:
    """A recipe with changes of its own, and those of both that its generator does not lack."""
    general = [change for change in changes if not change.startswith(_OPTIONS)]
    options = generator_options(load_recipe(name, (*own, *general)).generator.name)
    fitting = [c for c in changes if not c.startswith(_OPTIONS) or _option(c) in options]
    return load_recipe(name, (*own, *fitting))


def _require_known(recipes: Sequence[Recipe], changes: Sequence[str]) -> None:
    known = set[str]().union(*(generator_options(recipe.generator.name) for recipe in recipes))
    for change in changes:
        if change.startswith(_OPTIONS) and _option(change) not in known:
            raise RetintError(
                f"--set {change}: no generator has such an option; they have "
                f"{', '.join(sorted(known))}"
            )


def _option(change: str) -> str:
    return change.removeprefix(_OPTIONS).partition("=")[0].partition(".")[0]


def _require_own(report: Path) -> None:
    """See that a report.md that is there begins as `_report` does: with its title and a table."""
    if report.exists() and not report.read_bytes().startswith(f"{_TITLE}\n\n| ".encode()):
        raise RetintError(f"{report} is not of retint reproduce: give another --out")


def _report(
    recipes: Sequence[Recipe], comparison: Comparison, evaluations: Mapping[str, Evaluation]
) -> str:
    parts = [_TITLE, comparison.table.markdown()]
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
