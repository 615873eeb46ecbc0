"""How much of the faults is tried: `make test` does a little of each, `make faults` all of it."""

import os
from typing import TypeVar

import pytest

Amount = TypeVar("Amount")

WHOLE = "RETINT_FAULTS" in os.environ


def rounds(few: Amount, many: Amount) -> Amount:
    """How often, or what; `many` in the whole suite."""
    return many if WHOLE else few


whole_suite = pytest.mark.skipif(not WHOLE, reason="takes long: make faults does it")
