"""How much of the faults is tried: `make test` does a little of each, `make faults` all of it."""

import os

import pytest

WHOLE = "RETINT_FAULTS" in os.environ


def rounds(few: int, many: int) -> int:
    """How often; `many` in the whole suite."""
    return many if WHOLE else few


whole_suite = pytest.mark.skipif(not WHOLE, reason="takes long: make faults does it")
