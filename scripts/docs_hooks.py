"""Hooks of MkDocs: pages from the repository's root, and links that work there and on the site.

Links in Markdown are those of the repository, so that they work where the files are read as they
lie. On the site, what is not part of it (source, folders) becomes a path to be looked up.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parent.parent
_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for name, page in _PAGES.items():
        text = (_ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links of the repository into those of the site."""
    origins = {site: name for name, site in _PAGES.items()}
    uri = page.file.src_uri
    folder = (_ROOT / origins[uri] if uri in origins else _ROOT / "docs" / uri).parent

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if ":" in target:
            return match[0]
        place = _of_root(folder, target)
        if (on_site := _on_site(place)) is not None:
            return f"[{text}]({on_site}{anchor})"
        if not (_ROOT / place).exists():
            return match[0]  # MkDocs says that it leads nowhere
        return f"`{place}`" if text == place else f"{text} (`{place}`)"

    def picture(match: re.Match[str]) -> str:
        on_site = _on_site(_of_root(folder, match[2]))
        return match[0] if on_site is None else f"![{match[1]}]({on_site})"

    return _PICTURE.sub(picture, _LINK.sub(link, markdown))


def _of_root(folder: Path, target: str) -> str:
    """A link's target as a path from the root of the repository."""
    return Path(os.path.relpath(folder / target, _ROOT)).as_posix()


def _on_site(place: str) -> str | None:
    """Where a file of the repository is on the site, all pages of which lie in one folder."""
    if place in _PAGES:
        return _PAGES[place]
    is_part = place.startswith("docs/") and (_ROOT / place).is_file()
    return place.removeprefix("docs/") if is_part else None
