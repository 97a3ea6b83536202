"""What the README shows is what there is."""

import re

import yaml
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph.cli.main import main
from dspgraph.pipeline.document import folder
from helpers.paths import ROOT
from helpers.speech import speech

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_pipeline_is_the_shipped_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert yaml.safe_load(block) == yaml.safe_load((folder() / "lpc_vocoder.yaml").read_text(encoding="utf-8"))


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
