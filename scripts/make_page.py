"""Make docs/images/page.jpg: the page of `retint serve` with a sample, in Debian's chromium.

python scripts/make_page.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "images" / "page.jpg"
QUALITY = 80


def main() -> None:
    """Start a service, open its page, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        command = "from retint.cli import main; main()"
        service = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--port", "0", "--data", folder],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            address = (service.stderr or sys.stdin).readline().split()[-1]
            show(address)
        finally:
            service.terminate()
    print(TARGET)


def show(address: str) -> None:
    """Colour a sample on the page and take its picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(address)
        sample = ROOT / "samples" / "astronaut.jpg"
        page.locator("#drop input[type=file]").set_input_files(sample)
        page.get_by_role("button", name="Show variants").click()
        page.locator(".variants img").last.wait_for()
        page.locator(".stage[aria-busy=false]").wait_for()
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=TARGET, type="jpeg", quality=QUALITY, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
