"""Settings of the site: `make docs` builds it from the pages of this folder and from the nodes and pipelines."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "nodes"), str(HERE.parent / "tests")]

import pages  # noqa: E402 the path comes first
from sphinx.application import Sphinx  # noqa: E402

from dspgraph import __version__  # noqa: E402

project = "dspgraph"
author = "the authors of dspgraph"
version = release = __version__
extensions = ["myst_parser", "sphinx_gallery.gen_gallery"]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "generated/examples",
    "filename_pattern": "/(compare_excitations|look_inside|own_node)[.]py",  # those that run here, in seconds
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "notebook_extensions": set(),  # the examples are programs: in Jupyter, sys.argv has the arguments of its kernel
    "write_computation_times": False,
    "show_signature": False,
}
exclude_patterns = ["_build", "generated/read_me.md"]
html_theme = "furo"
html_title = "dspgraph"
html_extra_path = ["generated/copied"]
myst_heading_anchors = 3
nitpicky = True


def setup(app: Sphinx) -> None:
    """Set up the site: Sphinx calls this function before it looks for pages.

    Writes the pages of nodes and pipelines, and copies of pages such as README.md, into the folder `generated`. Lets
    `relink` change the links of the pages of this folder.
    """
    pages.write_all(HERE / "generated")
    app.connect("source-read", relink)


def relink(app: Sphinx, page: str, text: list[str]) -> None:
    """Change those links of a page in the folder docs that lead out of this folder, so that they fit the site.

    page: its name; a page in a subfolder, such as `generated`, is not changed. text: a list with one element, the text
    of the page, which is changed in place.
    """
    if "/" not in page:
        text[0] = pages.relinked(text[0], "../", "")
