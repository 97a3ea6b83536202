from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dspgraph import Audio, DspgraphError, Frames, Graph, PipelineError, Symbols, UnknownName, load
from dspgraph.document import shipped
from dspgraph.pipeline import Pipeline, variants
from dspgraph.schema import schema

TOYS = Path(__file__).parent / "toys.py"

BASE = """\
about: Two scales and a sum.
vars: {rate: 8000, factor: 3, hop: 80}
inputs:
  speech: {audio: "${rate}"}
nodes:
  loud:   {node: toy_scale, x: speech, factor: "${factor}"}
  late:   {node: toy_late, x: loud}
  sum:    {node: toy_sum, x: [late, speech]}
outputs:
  y: sum
variants:
  loud:
    soft: {node: toy_scale, x: speech, factor: 0.5}
    noise: {node: toy_noise, like: speech}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def written(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def graph_of(path: Path, *overrides: str, **swap: str) -> Graph:
    return load(path, overrides, swap, [TOYS])


def gain_of(graph: Graph) -> float:
    return float(graph(speech=np.ones(500))["y"][0])


def test_a_pipeline_is_the_graph_it_describes(base: Path) -> None:
    graph = graph_of(base)
    assert graph.inputs == {"speech": Audio(Fraction(8000))}
    assert graph.wires == {"loud.x": "speech", "late.x": "loud.y", "sum.x": ("late.y", "speech")}
    assert gain_of(graph) == 4


def test_overrides_reach_parameters_vars_and_settings(base: Path) -> None:
    assert gain_of(graph_of(base, "loud.factor=5")) == 6
    assert gain_of(graph_of(base, "factor=-1")) == 0
    assert graph_of(base, "rate=44100/2").inputs["speech"].rate == 22050
    assert graph_of(base, "precision=float32").outputs["y"].dtype == np.float32
    assert graph_of(base, "seed=3").seed == 3
    assert gain_of(graph_of(base, "loud.factor=1e-1")) == 1.1  # YAML 1.1 alone reads 1e-1 as text


def test_a_swap_fills_a_slot_and_overrides_follow_it(base: Path) -> None:
    assert gain_of(graph_of(base, loud="soft")) == 1.5
    assert gain_of(graph_of(base, "loud.factor=8", loud="soft")) == 9
    assert graph_of(base, loud="toy_scale") == graph_of(base)
    assert graph_of(base, loud="noise").wires["loud.like"] == "speech"


def test_variants_lists_the_pipeline_as_it_is_first(base: Path) -> None:
    assert Pipeline(base).variants == {"loud": ("toy_scale", "soft", "noise")}
    assert variants(base) == [{}, {"loud": "soft"}, {"loud": "noise"}]


def test_extends_lays_one_file_over_another(tmp_path: Path, base: Path) -> None:
    own = written(
        tmp_path,
        """\
extends: base.yaml
vars: {factor: 7}
nodes:
  late: null
  loud: {node: toy_scale, x: speech}
  sum: {x: [loud, speech, speech]}
variants:
  loud: {hush: {node: toy_scale, x: speech, factor: 0}}
""",
    )
    graph = graph_of(own)
    assert "late" not in graph.nodes
    assert gain_of(graph) == 4, "a node written anew keeps nothing of the old one: factor is its default, 2"
    assert variants(own) == [{}, {"loud": "soft"}, {"loud": "noise"}, {"loud": "hush"}]
    assert gain_of(graph_of(own, loud="hush")) == 2


def test_a_pipeline_stands_as_a_node(tmp_path: Path, base: Path) -> None:
    own = written(
        tmp_path,
        """\
inputs: {x: {audio: 16000}}
nodes:
  start: {node: toy_scale, x: x, factor: 1}
  twice: {pipeline: base.yaml, speech: start, rate: 16000, factor: 4}
  end: {node: toy_scale, x: twice}
outputs: {y: end, inner: twice.y}
""",
    )
    graph = graph_of(own)
    assert set(graph.nodes) == {"start", "twice/loud", "twice/late", "twice/sum", "end"}
    assert graph(x=np.ones(300))["y"][0] == 2 * (4 + 1)
    assert graph(x=np.ones(300))["inner"][0] == 5
    assert graph_of(own, "twice.factor=9")(x=np.ones(300))["y"][0] == 20


def test_every_class_of_input_can_be_declared(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        """\
inputs:
  x: {audio: 16000, channels: 2}
  rows: {frames: level, rate: 16000/160, width: 1, centre: 0.005}
  codes: {symbols: mulaw, rate: 8000, size: 256}
nodes: {end: {node: toy_scale, x: x}}
outputs: {y: end}
""",
    )
    assert graph_of(own).inputs == {
        "x": Audio(Fraction(16000), 2),
        "rows": Frames(Fraction(100), "level", 1, Fraction(1, 200)),
        "codes": Symbols(Fraction(8000), "mulaw", 256),
    }


# ---- errors: file, line and path, found, expected, the way out ------------------------------------------------------

HEAD = "inputs: {x: {audio: 16000}}\nnodes:\n"
TAIL = "outputs: {y: end}\n"

WRONG: dict[str, tuple[str, str]] = {
    "a syntax error": ("nodes: {a: [}\n", r"mine.yaml:1: not YAML"),
    "a tab": ("nodes:\n\ta: 1\n", r"mine.yaml:2: not YAML"),
    "not a mapping": ("- a\n- b\n", r"mine.yaml: a pipeline is a mapping"),
    "an empty file": ("", r"mine.yaml: a pipeline is a mapping"),
    "a key written twice": (HEAD + "  a: {node: toy_scale, x: x}\n  a: {node: toy_late, x: x}\n" + TAIL,
                            r"mine.yaml:4: nodes.a is written twice"),
    "a Python tag": ("inputs: !!python/object/apply:os.system ['true']\n", r"mine.yaml:1: inputs has the tag .*plain values only"),
    "a missing section": ("inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x}}\n",
                          "outputs is missing: what comes out"),
    "an unknown key": ("input: {x: {audio: 16000}}\n" + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL,
                       r"mine.yaml:1: input: no such key; did you mean 'inputs'"),
    "an unknown node": (HEAD + "  end: {node: toy_scal, x: x}\n" + TAIL,
                        r"mine.yaml:3: nodes.end.node: no node is called 'toy_scal'; did you mean 'toy_scale'"),
    "an import path": (HEAD + "  end: {node: os.system, x: x}\n" + TAIL,
                       r"mine.yaml:3: nodes.end.node: no node is called 'os.system'; a pipeline names nodes, never an import path"),
    "an unknown parameter": (HEAD + "  end: {node: toy_scale, x: x,\n    facter: 3}\n" + TAIL,
                             r"mine.yaml:4: nodes.end.facter: toy_scale has no parameter 'facter'; did you mean 'factor'"),
    "a value out of range": (HEAD + "  end:\n    node: toy_scale\n    x: x\n    factor: 11\n" + TAIL,
                             r"mine.yaml:6: nodes.end.factor: toy_scale.factor is 11; it must be a number, at least -10, at most 10 \(default 2\)"),
    "no node and no pipeline": (HEAD + "  end: {x: x}\n" + TAIL,
                                r"mine.yaml:3: nodes.end: must be a mapping with one of the keys 'node', 'pipeline'"),
    "a port that is not wired": (HEAD + "  end: {node: toy_scale}\n" + TAIL,
                                 r"mine.yaml:3: nodes.end.x: end.x is not wired; it takes Audio"),
    "a wire from nowhere": (HEAD + "  mid: {node: toy_late, x: x}\n  end: {node: toy_scale, x: mit}\n" + TAIL,
                            r"mine.yaml:4: .*nothing is called 'mit'; did you mean 'mid'"),
    "a wire that is no name": (HEAD + "  end: {node: toy_scale, x: 3}\n" + TAIL,
                               r"mine.yaml:3: nodes.end.x: a port takes the name of a node or input; found 3"),
    "two ends that do not fit": (HEAD + "  end: {node: toy_energy, frames: x}\n" + "outputs: {y: end.level}\n",
                                 r"mine.yaml:3: nodes.end.frames: end.frames takes Frames\('wave'\); x gives Audio\(16000 Hz\): put a .*'toy_frames' node between them"),
    "a loop": (HEAD + "  a: {node: toy_scale, x: end}\n  end: {node: toy_scale, x: a}\n" + TAIL,
               r"mine.yaml.*the graph has a loop: a -> end -> a"),
    "an unknown var": (HEAD + "  end: {node: toy_scale, x: x, factor: '${gain}'}\n" + TAIL,
                       r"mine.yaml:3: nodes.end.factor: .*gain"),
    "a resolver": (HEAD + "  end: {node: toy_scale, x: x, factor: '${oc.env:HOME}'}\n" + TAIL,
                   r"mine.yaml:3: nodes.end.factor: .* calls a resolver"),
    "an input of no class": ("inputs: {x: {sound: 16000}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                             r"mine.yaml:1: inputs.x: must be a mapping with one of the keys 'audio', 'frames', 'symbols'"),
    "a rate that is no number": ("inputs: {x: {audio: fast}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                                 r"mine.yaml:1: inputs.x: 'fast' is not a number such as 16000"),
    "a variant of nothing": (HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL + "variants: {ent: {a: {node: toy_late, x: x}}}\n",
                             r"mine.yaml:5: variants.ent: no node is called 'ent'; did you mean 'end'"),
    "a precision there is not": (HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL + "precision: float16\n",
                                 r"mine.yaml:5: precision: .*float64.*float32.*; found 'float16'"),
    "itself as a node": (HEAD + "  end: {pipeline: mine.yaml, x: x}\n" + TAIL, r"in a circle: mine.yaml -> mine.yaml"),
    "itself as its base": ("extends: mine.yaml\n", r"mine.yaml:1: extends: the files extend each other in a circle: mine.yaml -> mine.yaml"),
    "an unknown base": ("extends: lpc_vocodr\n", r"mine.yaml:1: extends: no pipeline is called 'lpc_vocodr'; did you mean 'lpc_vocoder'"),
    "a deep nest": ("a: " + "[" * 30 + "]" * 30 + "\n", "20 levels"),
    "an alias of itself": ("a: &a [*a]\n", "20 levels"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_pipeline_says_where_and_how_to_mend_it(tmp_path: Path, what: str) -> None:
    text, message = WRONG[what]
    with pytest.raises(PipelineError, match=message):
        graph_of(written(tmp_path, text))


def test_a_longer_circle_is_told(tmp_path: Path) -> None:
    a = written(tmp_path, "extends: b.yaml\n", "a.yaml")
    written(tmp_path, "extends: a.yaml\n", "b.yaml")
    with pytest.raises(PipelineError, match=r"in a circle: a.yaml -> b.yaml -> a.yaml"):
        graph_of(a)


@pytest.mark.parametrize(
    ("overrides", "swap", "message"),
    [
        (
            ["loud.facter=2"],
            {},
            r"'loud.facter=2': nodes.loud.facter: toy_scale has no parameter 'facter'; did you mean 'factor'",
        ),
        (["loud.factor=20"], {}, r"'loud.factor=20': .*at most 10"),
        (["lout.factor=2"], {}, "no node is called 'lout'; did you mean 'loud'"),
        (["facto=2"], {}, "base has no var 'facto'; did you mean 'factor'"),
        (["factor"], {}, "'factor' sets nothing: write NODE.PARAMETER=VALUE"),
        (["factor=[1"], {}, "is not a YAML value"),
        ([], {"lout": "soft"}, "base has no variants of 'lout'; did you mean 'loud'"),
        ([], {"loud": "sofd"}, "'loud' has no variant 'sofd'; did you mean 'soft'"),
    ],
)
def test_a_wrong_change_is_refused(base: Path, overrides: list[str], swap: dict[str, str], message: str) -> None:
    with pytest.raises(DspgraphError, match=message):
        graph_of(base, *overrides, **swap)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{pipeline: base.yml, speech: x}", r"nodes.end.pipeline: there is no pipeline file .*base.yml"),
        ("{pipeline: base.yaml, speech: x}", r"'base' takes Audio\(8000 Hz\); x gives Audio\(16000 Hz\): set its vars"),
        ("{pipeline: base.yaml, rate: 16000}", r"pipeline 'base' takes 'speech', Audio\(16000 Hz\): wire it"),
        (
            "{pipeline: base.yaml, speech: x, rade: 3}",
            r"nodes.end.rade: pipeline 'base' has no input or var 'rade'; did you mean 'rate'",
        ),
    ],
)
def test_a_pipeline_that_cannot_stand_there_is_refused(tmp_path: Path, base: Path, entry: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        graph_of(written(tmp_path, HEAD + f"  end: {entry}\n" + TAIL))


def test_a_pipeline_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no pipeline is called 'lpc_vocodr'; did you mean 'lpc_vocoder'"):
        load("lpc_vocodr")
    with pytest.raises(UnknownName, match="there is no pipeline file nothing.yaml"):
        load("nothing.yaml")


def test_the_schema_knows_every_node_and_parameter() -> None:
    document: Any = schema([TOYS])
    entry = document["$defs"]["node toy_scale"]
    assert entry["properties"]["node"] == {"const": "toy_scale"}
    assert entry["required"] == ["node", "x"]
    assert (
        entry["properties"]["factor"]["description"]
        == "what to multiply by: a number, at least -10, at most 10 (default 2)"
    )
    assert {"$ref": "#/$defs/node toy_sum"} in document["properties"]["nodes"]["additionalProperties"]["anyOf"]


def test_every_shipped_pipeline_says_what_it_is_about() -> None:
    for name in shipped():
        assert Pipeline(name).document.about, name
