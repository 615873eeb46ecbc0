"""HTML pages from the templates that lie beside the code that fills them."""

from __future__ import annotations

from importlib import resources
from typing import Any


def render(package: str, template: str, **values: Any) -> str:
    r"""Fill a template of a package, such as "report.html.j2" of "retint.evaluation".

    Bytes in names of files that are no text are written as `\udce9`.
    """
    import jinja2  # late: few commands make pages, and all would wait for it

    source = (resources.files(package) / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(source).render(values)
    return page.encode(errors="backslashreplace").decode()
