"""HTML pages from the templates that lie beside the code that fills them."""

from __future__ import annotations

from importlib import resources
from typing import Any


def render(package: str, template: str, **values: Any) -> str:
    """Fill a template of a package, such as "report.html.j2" of "retint.evaluation"."""
    import jinja2  # late: few commands make pages, and all would wait for it

    source = (resources.files(package) / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).render(values)
