"""The pages of the site that are made from code, and the pipelines that its pages show."""

import ast
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import soundfile

from dspgraph import load, registry
from helpers.paths import ROOT
from helpers.speech import speech

FILES = (ROOT / "docs" / "pipeline_files.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```", FILES, re.DOTALL | re.MULTILINE))
def test_the_pipelines_of_the_page_on_pipeline_files_run(text: str, tmp_path: Path) -> None:
    path, file = tmp_path / "shown.yaml", tmp_path / "speech.wav"
    path.write_text(text, encoding="utf-8")
    soundfile.write(file, speech()[8000:12000], 16000)
    assert len(load(path, file=file)(speech()[8000:12000])["speech"]) == 4000
    if "codec" in text:
        assert len(load(path).tap("codec/codes")(speech()[8000:12000])["codec/codes"]) == 4000
    if "variants" in text:
        assert load(path, swap="excitation=residual", order=20)(speech()[8000:12000])["speech"].std() > 0


def test_every_section_of_a_pipeline_file_is_explained() -> None:
    sections = {"about", "vars", "precision", "seed", "inputs", "nodes", "outputs", "variants", "extends"}
    assert set(re.findall(r"^\| `(\w+)` \|", FILES, re.MULTILINE)) == sections


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"} <= set(menu)


def test_links_lead_to_pages_of_the_site_and_others_become_text(pages: ModuleType) -> None:
    text = "[a](docs/phones.md#x) [b](CONTRIBUTING.md) [`c`](examples) [d](pipelines/gansynth_notes.md) [e](LICENSE)"
    assert pages.relinked(text, "", "") == (
        "[a](phones.md#x) [b](generated/contributing.md) `c` [d](generated/card_gansynth_notes.md) e"
    )
    assert (
        pages.relinked("[a](../README.md#the-laws) [b](phones.md)", "../", "")
        == "[a](index.md#the-laws) [b](phones.md)"
    )
    assert pages.relinked("[a](README.md) [b](docs/phones.md)", "", "../") == "[a](../index.md) [b](../phones.md)"


def test_a_docstring_keeps_its_formulas_and_has_no_other_marks(pages: ModuleType) -> None:
    class Documented:
        """Return x[n] * 2**k_1 of `a_b`, all at once.

            y[n] = x[n] * 2
              z[n] = 1
        More about it.
        """

    assert pages.docstring(Documented) == (
        "Return x\\[n\\] \\* 2\\*\\*k\\_1 of `a_b`, all at once.\n\n```text\ny[n] = x[n] * 2\n  z[n] = 1\n```\n\nMore about it."
    )


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_begins_with_the_title_of_its_page(path: Path) -> None:
    title, line, *_ = path.read_text(encoding="utf-8").removeprefix('"""').splitlines()
    assert title[:1].isupper()
    assert line == "=" * len(title)


def test_no_example_is_offered_as_a_notebook() -> None:
    """The site offers no example as a notebook.

    Examples read `sys.argv`, which in Jupyter is [kernel, "-f", file]: their first cells would fail there.
    """
    tree = ast.parse((ROOT / "docs" / "conf.py").read_text(encoding="utf-8"))
    assigned = {
        one.targets[0].id: one.value
        for one in tree.body
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }
    assert ast.literal_eval(assigned["sphinx_gallery_conf"])["notebook_extensions"] == set()


def test_the_page_of_a_node_has_its_ports_parameters_and_example(pages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "copied" / "sounds").mkdir(parents=True)
    (tmp_path / "nodes").mkdir()
    page = pages.node_page(registry.nodes()["gain"], tmp_path / "nodes")
    assert page.startswith("# gain\n\nScale audio by a factor")
    assert "| `x` | Audio |" in page
    assert "| `gain` | `1.0` | linear factor | " in page
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["gain.png", "gain_y.wav"]
    assert "](gain.png)" in page
    assert 'src="../../sounds/gain_y.wav"' in page
