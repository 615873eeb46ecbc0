"""Nothing is told to anybody about what retint does."""

import os
import subprocess
import sys

from PIL import Image

from commands import COMMAND, START


def test_colouring_leaves_no_telemetry_in_the_home_folder(tmp_path):
    photograph, home = tmp_path / "photo.png", tmp_path / "home"
    Image.new("L", (64, 48), 128).save(photograph)
    home.mkdir()
    own = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    command = [*COMMAND, "colorize", photograph]
    subprocess.run(command, env={**own, **places}, check=True)
    assert (tmp_path / "photo-color.png").exists()
    assert list(home.iterdir()) == []


def test_nothing_is_fetched(tmp_path):
    photograph = tmp_path / "photo.png"
    Image.new("L", (64, 48), 128).save(photograph)
    code = (
        "import sys\n"
        "def watch(event, _):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise SystemExit(f'retint went online: {event}')\n"
        f"sys.addaudithook(watch)\n{START}"
    )
    for arguments in (["colorize", str(photograph)], ["info", str(photograph)], ["models"]):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
