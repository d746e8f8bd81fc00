"""How the documentation is built: `sphinx-build -W -b html docs docs/_build/html`."""

from importlib.metadata import version as version_of

project = "lazyana"
author = "The lazyana developers"
copyright = "2026, The lazyana developers"
version = release = version_of("lazyana")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# numpydoc sections, with the types from the signatures: written once, checked by mypy.
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"show-inheritance": True}
autosummary_generate = False
python_use_unqualified_type_names = True
# Attributes such as `datasets` are listed by several classes, and link to none of them.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"lazyana {release}"
html_show_sourcelink = False
html_theme_options = {"source_directory": "docs/"}
