"""Sphinx configuration."""

import re

import discrete_ca

project = "discrete_ca"
author = "The discrete_ca authors"
release = discrete_ca.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"discrete_ca {release}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True


def escape_shapes(app, what, name, obj, options, lines):
    """Shapes such as (B, *S) are text, not emphasis."""
    for i, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split(r"(``.*?``)", line)
        lines[i] = "".join(
            p if p.startswith("``") else re.sub(r"\*(?=\w)", r"\\*", p) for p in parts
        )


def setup(app):
    """Connect the hook."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=900)
