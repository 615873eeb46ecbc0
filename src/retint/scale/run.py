"""`retint colorize --engine ray`: the one-machine run, with other hands and places."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace

from retint.many import Request, Run, Totals
from retint.scale.cluster import Cluster
from retint.scale.urls import Urls


def colorize_many(
    request: Request,
    tell: Callable[..., None],
    warn: Callable[[str], None],
    address: str | None,
    workers: int | None,
) -> Totals:
    """Do a request with many processes.

    Args:
        request: what to do; photographs and results may be at URLs.
        tell: is given a line for each result, and the `file` that it belongs to.
        warn: is given a line for each problem.
        address: of a Ray cluster; None for this machine.
        workers: processes; as many as there are cores if None.
    """
    stdout = sys.stdout
    request = replace(request, places=Urls(request.paths, request.out))
    engine = Cluster(address, workers).colorize_tasks
    with redirect_stdout(sys.stderr):  # Ray tells there which of its processes died
        return Run(request, lambda line: tell(line, file=stdout), warn, engine).once()
