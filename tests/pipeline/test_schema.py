"""The schema of pipeline files: it is the one in the folder docs, accepts what loads, and refuses faulty files."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from dspgraph import load
from dspgraph.cli.main import main
from dspgraph.pipeline.schema import schema
from dspgraph.registry import shipped_pipelines
from helpers.paths import ROOT, TOYS

STORED = ROOT / "docs" / "pipeline.schema.json"


def faults(text: str) -> list[str]:
    return [
        fault.message for fault in jsonschema.Draft202012Validator(schema([TOYS])).iter_errors(yaml.safe_load(text))
    ]


def test_the_stored_schema_is_current() -> None:
    printed = CliRunner().invoke(main, ["schema"]).output
    assert STORED.read_text() == printed, (
        "a node or the schema has changed: dspgraph schema > docs/pipeline.schema.json"
    )


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema([TOYS]))


@pytest.mark.parametrize("name", shipped_pipelines())
def test_every_shipped_pipeline_fits_and_names_the_schema(name: str) -> None:
    path = shipped_pipelines()[name]
    text = path.read_text()
    assert not faults(text)
    _, _, named = text.partition("\n")[0].partition("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == STORED.resolve()


def test_the_schema_knows_every_node_and_parameter() -> None:
    document: Any = schema([TOYS])
    entry = document["$defs"]["node.toy_scale"]
    assert entry["properties"]["node"] == {"const": "toy_scale"}
    assert entry["required"] == ["node", "x"]
    assert (
        entry["properties"]["factor"]["description"]
        == "factor of the signal: a number, at least -10, at most 10 (default 2)"
    )
    assert {"$ref": "#/$defs/node.toy_sum"} in document["$defs"]["entry"]["anyOf"]


BASE = """\
vars: {rate: 16000, n: 1}
inputs: {x: {audio: "${rate}", channels: "${n}"}}
nodes: {late: {node: toy_late, x: x}, end: {node: toy_scale, x: x, factor: "${n}"}}
outputs: {y: end}
variants: {end: {soft: {node: toy_scale, x: x, factor: 0.5}}}
"""

FITS = {
    "a whole file": BASE,
    "one line": "extends: base.yaml\n",
    "a changed parameter": "extends: base.yaml\nnodes: {end: {factor: 3}}\n",
    "a removed node": "extends: base.yaml\nnodes: {late: null}\n",
    "a node anew": "extends: base.yaml\nnodes: {end: {node: toy_late, x: x}}\n",
    "a changed input": "extends: base.yaml\ninputs: {x: {channels: 2}}\n",
    "no variants": "extends: base.yaml\nvariants: null\n",
    "a variant less": "extends: base.yaml\nvariants: {end: {soft: null}}\n",
    "an output more": "extends: base.yaml\noutputs: {z: late}\n",
    "a seed from a var": "extends: base.yaml\nseed: ${n}\n",
}

FAULTY = {
    "a section less": "inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x}}\n",
    "an unknown node": BASE.replace("toy_late", "toy_lat"),
    "a port less": BASE.replace("{node: toy_late, x: x}", "{node: toy_late}"),
    "an unknown parameter": BASE.replace("factor", "facter"),
    "a value out of range": BASE.replace("0.5", "50"),
    "a part where nothing is extended": BASE.replace("{node: toy_late, x: x}", "{x: x}"),
    "a removal where nothing is extended": BASE.replace("{node: toy_late, x: x}", "null"),
    "a name with a slash": BASE.replace("late:", "la/te:"),
    "an unknown key": BASE + "node: {}\n",
    "an unknown node in an extending file": "extends: base.yaml\nnodes: {end: {node: toy_lat, x: x}}\n",
    "an unknown key in an extending file": "extends: base.yaml\nnode: {}\n",
}


@pytest.mark.parametrize("what", FITS)
def test_what_can_be_loaded_fits(tmp_path: Path, what: str) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "mine.yaml").write_text(FITS[what])
    assert load(tmp_path / "mine.yaml", plugins=[TOYS])
    assert not faults(FITS[what])


@pytest.mark.parametrize("what", FAULTY)
def test_what_is_refused_does_not_fit(what: str) -> None:
    assert faults(FAULTY[what])
