"""HTML pages from the templates that lie beside the code that fills them."""

from __future__ import annotations

from importlib import resources
from typing import Any

import jinja2


def render(package: str, template: str, **values: Any) -> str:
    """Fill a template of a package, such as "report.html.j2" of "retint.evaluation"."""
    source = (resources.files(package) / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).render(values)
