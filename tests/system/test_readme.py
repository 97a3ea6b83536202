"""The README: its commands and its Python run. The links, make targets and extras named on all pages exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph._version import __version__
from dspgraph.cli.main import main
from dspgraph.evaluation.listening import ANSWER_COLUMNS
from dspgraph.registry import shipped_pipelines
from helpers.paths import ROOT
from helpers.speech import speech
from helpers.wavenets import published, random_arrays, tiny

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

QUICKER = {"train": ["--settings"], "check": ["--seconds", "0.1"]}
"""Options that make a command of the README quick: train lists its settings, check takes a tenth of a second."""


def commands(program: str, mark: str = "") -> list[list[str]]:
    """Return the arguments of every line of a code block in the README that calls a program, without the program.

    mark: the word after ``` at the start of the block. Blocks marked `sh` have commands that need a sound device;
    no test runs these lines.
    """
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    blocks = [text for kind, text in found if kind == mark]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words[0] == program]


def test_the_pipeline_is_the_shipped_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert yaml.safe_load(block) == yaml.safe_load(shipped_pipelines()["lpc_vocoder"].read_text(encoding="utf-8"))


def test_the_pictures_are_there_and_the_graph_is_current() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).is_file()
    drawn = CliRunner().invoke(main, ["show", "lpc_vocoder", "--format", "svg"]).output
    assert drawn == (ROOT / "docs" / "lpc_vocoder.svg").read_text(encoding="utf-8"), (
        "run: dspgraph show lpc_vocoder --format svg > docs/lpc_vocoder.svg"
    )


def test_the_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    x = speech(20000)
    played: list[Array] = []
    blocks = [x[:7], x[7:9999], x[9999:]]
    exec(block, {"x": x, "blocks": blocks, "play": played.append})
    y = load("lpc_vocoder", overrides=["order=24"], swap={"excitation": "residual"})(speech=x)["speech"]
    assert b"".join(part.tobytes() for part in played) == y.tobytes()


@pytest.mark.process
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of dspgraph in the README, without those that need a sound device, run without an error.

    They run in the order of the page, because `score` reads files that `compare` has written. QUICKER shortens some.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("speech", "corpus"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", speech()[8000:20000], 16000)
    network = tiny(layers=24, stacks=4)  # the form of the published networks
    state = {name: torch.from_numpy(array) for name, array in published(network, random_arrays(network)).items()}
    torch.save({"state_dict": state}, "checkpoint.pth")
    (tmp_path / "answers").mkdir()
    answer = "page,1,now,mushra,ann,matched,1,a,pulse,,,,50\n"
    (tmp_path / "answers" / "ann.csv").write_text(",".join(ANSWER_COLUMNS) + "\n" + answer)
    found = commands("dspgraph")
    assert len(found) > 10
    for words in found:
        options = [str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])]
        result = CliRunner().invoke(main, [*options, *QUICKER.get(words[0], [])])
        assert result.exit_code == 0, f"dspgraph {' '.join(words)}: {result.output}"


def test_every_command_is_shown() -> None:
    shown = {words[0] for words in [*commands("dspgraph"), *commands("dspgraph", "sh")]}
    assert shown | {"demo", "info", "schema"} >= set(main.commands)
    assert "demo" in {words[0] for words in commands("make")}


def test_the_targets_and_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for extras in re.findall(r"(?:dspgraph|\.)\[([\w,]+)\]", text):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), f"{page.name}: {extras}"
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target


def test_the_pipelines_of_the_table_are_shipped() -> None:
    names = {name for row in re.findall(r"^\| (`.*?) \|", README, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert len(names) > 5
    assert names <= set(shipped_pipelines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (__version__, project["license"])
