"""Measure systems as `retint evaluate` does, and print the table."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from retint.evaluation.protocol import Evaluation, evaluate
from retint.evaluation.report import table_of
from retint.evaluation.systems import System
from retint.pictures import find_pictures, spread


def measure(photos: Path, limit: int, systems: Sequence[System]) -> Evaluation:
    """Measure on so many photographs, spread over all; print table as markdown, then protocol."""
    evaluation = evaluate(photos, spread(find_pictures(photos), limit), systems)
    console = Console(soft_wrap=True)
    console.print(table_of(evaluation).markdown(), markup=False)
    console.print(evaluation.protocol.line(), markup=False)
    return evaluation
