"""Pipelines, and the graph that each of them describes; most errors are in test_errors.py."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dspgraph import Audio, Frames, Symbols, load
from dspgraph.errors import PipelineError, RequestError, UnknownName
from dspgraph.pipeline.pipeline import Pipeline, variants
from helpers.pipelines import gain_of, graph_of, written


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
    assert Pipeline(base).slots == {"loud": ("toy_scale", "soft", "noise")}
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


SIZED = """\
vars: {width: 3}
inputs: {rows: {port: sized.x}}
nodes: {sized: {node: toy_sized, x: rows, width: "${width}"}}
outputs: {y: sized}
"""


def test_an_input_can_be_the_stream_that_a_port_takes(tmp_path: Path) -> None:
    """The port may belong to a pipeline that is used as a node. The stream has the precision of the whole pipeline."""
    own = written(tmp_path, SIZED, "own.yaml")
    assert graph_of(own).inputs == {"rows": Frames(100, "level", 3)}
    assert graph_of(own, "width=7", "precision=float32").inputs == {"rows": Frames(100, "level", 7, dtype=np.float32)}
    around = "inputs: {z: {port: codec.rows}}\nnodes: {codec: {pipeline: own.yaml, rows: z}}\noutputs: {y: codec}\n"
    assert graph_of(written(tmp_path, around), "codec.width=5").inputs == {"z": Frames(100, "level", 5)}


@pytest.mark.parametrize(
    ("port", "complaint"),
    [
        ("size.x", "is 'size.x', but no node is called 'size'; did you mean 'sized'"),
        (
            "sized.y",
            "is 'sized.y'; the parameters of 'sized' decide the streams of these ports: 'sized.x': declare",
        ),
        ("late.x", "the parameters of 'late' decide the streams of these ports: none: declare the input by"),
        ("sized", "is 'sized'; the parameters of 'sized' decide"),
    ],
)
def test_a_port_whose_stream_no_parameter_decides_is_refused(port: str, complaint: str, tmp_path: Path) -> None:
    text = SIZED.replace("port: sized.x", f"port: {port}").replace(
        "nodes: {", "nodes: {late: {node: toy_late, x: rows}, "
    )
    with pytest.raises(PipelineError, match=rf"mine.yaml:2: inputs.rows.port: .*{complaint}"):
        graph_of(written(tmp_path, text))


def test_load_takes_vars_as_keywords_and_swaps_as_a_text() -> None:
    plain = load("mcep_mlsa", ["order=30", "precision=float64"], {"excitation": "whisper", "synth": "sharpened"})
    words = load("mcep_mlsa", order=np.int64(30), precision="float64", swap="excitation=whisper, synth=sharpened")
    assert words == plain
    with pytest.raises(UnknownName, match="mcep_mlsa has no var 'odrer'; did you mean 'order'"):
        load("mcep_mlsa", odrer=30)
    for text in ("excitation", "excitation=", "=residual", "excitation=residual,"):
        with pytest.raises(RequestError, match="write SLOT=VARIANT, for instance excitation=residual"):
            load("mcep_mlsa", swap=text)
    with pytest.raises(
        RequestError, match="swap excitation=whisper and swap excitation=pulse_noise: one slot takes one"
    ):
        load("mcep_mlsa", swap="excitation=whisper,excitation=pulse_noise")


def test_a_value_may_have_any_letters() -> None:
    with pytest.raises(PipelineError, match="\N{GRINNING FACE}.safetensors"):
        load("wavenet", weights="\N{GRINNING FACE}.safetensors")
