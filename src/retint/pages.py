"""HTML pages from the templates that lie beside the code that fills them.

Reports share a frame, base.html.j2, and parts.html.j2. The page of raters stands alone.
"""

from __future__ import annotations

from importlib import resources
from typing import Any


def render(template: str, **values: Any) -> str:
    r"""Fill a template of retint, such as "evaluation/report.html.j2".

    Bytes in names of files that are no text are written as `\udce9`.
    """
    import jinja2  # late: few commands make pages, and all would wait for it

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(template).render(values)
    return page.encode(errors="backslashreplace").decode()


def _read(template: str) -> str:
    return (resources.files("retint") / template).read_text(encoding="utf-8")
