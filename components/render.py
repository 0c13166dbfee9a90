"""Renders the templates in templates/: the one place that knows Jinja2."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """Return the environment: names that a template uses and nobody gives are errors, blocks leave no blank lines."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=jinja2.select_autoescape(("html.j2",), default=False),  # the others are configuration files, no HTML
    )


def render(template: str, **context: Any) -> str:
    """Return templates/`template` filled in; raises jinja2.UndefinedError for a name that `context` lacks."""
    return environment().get_template(template).render(**context)
