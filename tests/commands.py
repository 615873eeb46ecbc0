"""Run the command as a user would, and check how it fails."""

import subprocess
import sys

from typer.testing import CliRunner

from retint.cli import app


def retint(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from retint.cli import main; main()", *map(str, arguments)]
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
