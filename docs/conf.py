"""Sphinx configuration."""

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
