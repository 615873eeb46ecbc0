"""What the operator of a service decides."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Settings:
    """Limits and places.

    Attributes:
        data: folder of the jobs, their photographs and results.
        token: what clients have to send as `Authorization: Bearer`; None lets everybody in.
        most_bytes: of a request.
        most_job_bytes: of a request that makes a job.
        most_pixels: of a photograph; looked up before it is decoded.
        most_files: of a job.
        open_jobs: jobs that are not finished, at a time.
        workers: photographs in work at a time.
        waiting: requests that wait for a worker; more are sent away.
        seconds: for the upload of a request; as many for the photograph in it to be coloured.
        keep_seconds: after which a finished job and its files are removed.
    """

    data: Path
    token: str | None = None
    most_bytes: int = 100_000_000
    most_job_bytes: int = 1_000_000_000
    most_pixels: int = 100_000_000
    most_files: int = 500
    open_jobs: int = 20
    workers: int = max(2, os.cpu_count() or 2)
    waiting: int = 32
    seconds: float = 120.0
    keep_seconds: float = 24 * 3600.0


def data_folder() -> Path:
    """Where the service keeps its jobs if its operator does not say."""
    return Path(platformdirs.user_data_dir("retint", appauthor=False)) / "jobs"
