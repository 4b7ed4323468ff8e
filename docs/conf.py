"""The documentation: ``make docs`` builds it into ``build/docs``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_site"), str(HERE.parent)]

import sigdeconv  # noqa: E402 (the path comes first)

project = "sigdeconv"
author = "The sigdeconv developers"
copyright = "the sigdeconv developers"  # noqa: A001 (Sphinx's name)
version = release = sigdeconv.__version__
language = "en"
default_role = "autolink"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # of this folder
    "mathml",
    "explorer",
    "commands",
    "docstrings",
]
templates_path = ["_templates"]
exclude_patterns = ["_site", "explorer", "gallery_scripts", "images/README*"]
suppress_warnings = ["ref.footnote"]  # sources that no sentence of a docstring refers to
nitpicky = False  # types in docstrings are words, not names; links that are written as links are checked all the same

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "attrs_inline", "substitution"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "sigdeconv"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # it would ask for files, which a browser without a server refuses
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sigdeconv"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

from gallery import forget_pages, write_scripts  # noqa: E402

write_scripts(HERE / "gallery_scripts")
forget_pages(HERE / "gallery")
sphinx_gallery_conf = {
    "examples_dirs": ["gallery_scripts"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/\w+\.py$",
    "within_subsection_order": "gallery.Order",
    "image_scrapers": ("gallery",),
    "reset_modules": (),
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "show_signature": False,
    "plot_gallery": "True",
    "abort_on_example_error": True,
    "min_reported_time": 1,
}
