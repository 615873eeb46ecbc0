"""Run the command as a user would, and look at how it fails and what it leaves."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from retint.cli import app

SAMPLES = Path(__file__).parent.parent / "samples"
START = "from retint.cli import main; main()"
COMMAND = [sys.executable, "-c", START]


def retint(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def retint_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in this process: for tests that call it again and again."""
    command = list(map(str, arguments))
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)


def fails_in_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("retint: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder but journals."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.suffix != ".jsonl"
    }
