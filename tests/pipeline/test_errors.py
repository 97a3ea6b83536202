"""Errors of pipelines: they say file, line and path, what was found and expected, and what to do."""

from pathlib import Path

import numpy as np
import pytest

from dspgraph import DspgraphError, PipelineError, RequestError, UnknownName, load
from dspgraph.diagram.build import build_diagram
from dspgraph.pipeline.pipeline import Pipeline, summaries, variants
from dspgraph.pipeline.read import Source, parse
from dspgraph.registry import shipped_pipelines
from helpers.effort import soon
from helpers.paths import TOYS
from helpers.pipelines import gain_of, graph_of, written

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
                          "outputs is missing: the streams that come out"),
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
                   r"mine.yaml:3: nodes.end.factor: \$\{...\} takes the name of a var and nothing else; found '\$\{oc.env:HOME\}'"),
    "a resolver with a computed name": ("vars: {a: env}\n" + HEAD + "  end: {node: toy_scale, x: x, factor: '${oc.${a}:HOME}'}\n" + TAIL,
                                        r"mine.yaml:4: nodes.end.factor: \$\{...\} takes the name of a var"),
    "a resolver in a var that is used before it": (HEAD + "  end: {node: toy_scale, x: x, factor: '${a}'}\n" + TAIL + "vars: {a: '${oc.env:HOME}'}\n",
                                                   r"mine.yaml:5: vars.a: \$\{...\} takes the name of a var"),
    "a resolver put together": ("vars: {a: $, b: '{oc.env:HOME}', c: '${a}${b}'}\n" + HEAD + "  end: {node: toy_scale, x: x, factor: '${c}'}\n" + TAIL,
                                r"mine.yaml:4: nodes.end.factor: toy_scale.factor is '\$\{oc.env:HOME\}'"),
    "a rate without end": ("inputs: {x: {audio: '1e400'}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                           r"mine.yaml:1: inputs.x.audio: '1e400' is not a number such as 16000"),
    "a rate nobody can reckon with": ("inputs: {x: {audio: '1e999999999'}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                                      r"mine.yaml:1: inputs.x.audio: '1e999999999' is not a number such as 16000"),
    "a rate that is true": ("inputs: {x: {audio: true}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                            r"mine.yaml:1: inputs.x.audio: True is not a number such as 16000"),
    "a nest deeper than Python goes": ("a: " + "[" * 5000 + "]" * 5000 + "\n", "20 levels"),
    "a control character": (HEAD + "  end: {node: toy_scale, x: x\x01}\n" + TAIL, r"mine.yaml:3: not YAML: special characters .*; found 0x1"),
    "a character there is not": ('about: "\\UFFFFFFFF"\n', r"mine.yaml: not YAML"),
    "a number that is none": ("vars:\n  a: !!int 0b_\n", r"mine.yaml:2: vars.a: '0b_' is no int: quote it"),
    "a truth that is none": ("vars:\n  a: !!bool maybe\n", r"mine.yaml:2: vars.a: 'maybe' is no bool: quote it"),
    "a number without end": (f"vars:\n  a: 0x{'f' * 5000}\n", r"mine.yaml:2: vars.a has more than 128 bits: quote it"),
    "a list as a key": (HEAD + "  end: {node: toy_scale, x: x, ? [a] : 3}\n" + TAIL, r"mine.yaml:3: nodes.end has a list or mapping as a key"),
    "a merge key": (HEAD + "  a: &a {node: toy_scale, x: x}\n  end: {<<: *a, factor: 3}\n" + TAIL,
                    r"mine.yaml:4: nodes.end.<<: keys are not merged here: write them out, or use vars or extends"),
    "vars that are a list": ("vars: [a]\n" + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL,
                             r"mine.yaml:1: vars: must be a mapping of names; found \['a'\]"),
    "nodes that are a list": ("nodes: [a, b]\n" + TAIL, r"mine.yaml:1: nodes: must be a mapping of names; found \['a', 'b'\]"),
    "a node that is a number": (HEAD + "  end: 3\n" + TAIL,
                                r"mine.yaml:3: nodes.end: must be a mapping with one of the keys 'node', 'pipeline'; found 3"),
    "a variant that is nothing": (HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL + "variants: {end: {a: null}}\n",
                                  r"mine.yaml:5: variants.end.a: must be a mapping with one of the keys 'node', 'pipeline'; found None"),
    "a variant named as the default": (HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL + "variants: {end: {toy_scale: {node: toy_late, x: x}}}\n",
                                       r"mine.yaml:5: variants.end.toy_scale: 'toy_scale' is the name of the default of the slot 'end': give"),
    "a base that is a list": ("extends: [a]\n", r"mine.yaml:1: extends: takes the name or path of one pipeline; found \['a'\]"),
    "a name with a slash": (HEAD + "  a/b: {node: toy_scale, x: x}\n  end: {node: toy_scale, x: x}\n" + TAIL,
                            r"mine.yaml:3: nodes.a/b: a name is letters, digits and _, and begins with no digit; found 'a/b'"),
    "an output with a slash": (HEAD + "  end: {node: toy_scale, x: x}\noutputs: {a/b: end}\n", r"mine.yaml:4: outputs.a/b: a name is letters"),
    "a var named as an input": ("vars: {x: 3}\n" + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL,
                                r"mine.yaml:2: inputs.x: a var has this name too: rename one"),
    "a wire in two lists": (HEAD + "  end: {node: toy_sum, x: [[x]]}\n" + TAIL,
                            r"mine.yaml:3: nodes.end.x: a port takes the name of a node or input; found \['x'\]"),
    "a wire from a port of an input": (HEAD + "  end: {node: toy_scale, x: x.y}\n" + TAIL,
                                       r"mine.yaml:3: nodes.end.x: takes from 'x.y', but 'x' is an input and has no ports: write 'x'"),
    "a wire from one of two": ("inputs: {x: {frames: wave, rate: 100, width: 160}}\nnodes:\n  e: {node: toy_energy, frames: x}\noutputs:\n  y: e\n",
                               r"mine.yaml:5: outputs.y: takes from 'e', which has 2 outputs: write 'e.level' or 'e.sign'"),
    "a parameter called self": (HEAD + "  end: {node: toy_scale, x: x, self: 3}\n" + TAIL, r"mine.yaml:3: nodes.end.self: toy_scale has no parameter 'self'"),
    "an input of no class": ("inputs: {x: {sound: 16000}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                             r"mine.yaml:1: inputs.x: must be a mapping with one of the keys 'audio', 'frames', 'symbols', 'control', 'port'"),
    "a rate that is no number": ("inputs: {x: {audio: fast}}\nnodes:\n  end: {node: toy_scale, x: x}\n" + TAIL,
                                 r"mine.yaml:1: inputs.x.audio: 'fast' is not a number such as 16000"),
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
        (["factor=[1"], {}, r"'factor=\[1': not YAML: expected ',' or ']'"),
        (["loud.factor=2020-13-45"], {}, "'loud.factor=2020-13-45': nodes.loud.factor: .* is '2020-13-45'; it must be"),
        (["loud.factor=!!int 0b_"], {}, "'loud.factor=!!int 0b_': the value: '0b_' is no int: quote it"),
        (["loud.factor=&a [*a]"], {}, "20 levels"),
        (["loud.factor=!!python/name:os.system"], {}, "plain values only"),
        (["factor=a\x01"], {}, "special characters"),
        (["factor=2", "factor=3"], {}, "'factor=2' and 'factor=3' set the same value: drop one of them"),
        (["loud.factor=2", "loud/factor=2"], {}, "'loud.factor=2' and 'loud/factor=2' set the same value"),
        (["loud.x.y=1"], {}, "'loud' is a node, not a pipeline: write loud.PARAMETER"),
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
        (
            "{pipeline: base.yml, speech: x}",
            r"nodes.end.pipeline: the pipeline cannot be read: .*base.yml does not exist",
        ),
        ("{pipeline: base.yaml, speech: x}", r"'base' takes Audio\(8000 Hz\); x gives Audio\(16000 Hz\): set its vars"),
        ("{pipeline: base.yaml, rate: 16000}", r"pipeline 'base' takes 'speech', Audio\(16000 Hz\): wire it"),
        (
            "{pipeline: base.yaml, speech: x, rade: 3}",
            r"nodes.end.rade: pipeline 'base' has no input or var 'rade'; did you mean 'rate'",
        ),
        (
            "{pipeline: base.yaml, speech: x, rate: 16000, factor: 99}",
            r"mine.yaml:3: nodes.end: in the pipeline 'base.yaml': .*base.yaml:6: nodes.loud.factor: toy_scale.factor is 99",
        ),
        (
            "{pipeline: base.yaml, speech: [x, x], rate: 16000}",
            r"mine.yaml:3: nodes.end.speech: a pipeline takes one wire; found 2: mix them first",
        ),
        ("{pipeline: base.yaml, speech: [[x]], rate: 16000}", r"nodes.end.speech: a pipeline takes one wire"),
        (
            "{pipeline: base.yaml, speech: mit, rate: 16000}",
            r"mine.yaml:3: nodes.end.speech: .*nothing is called 'mit'",
        ),
    ],
)
def test_a_pipeline_that_cannot_stand_there_is_refused(tmp_path: Path, base: Path, entry: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        graph_of(written(tmp_path, HEAD + f"  end: {entry}\n" + TAIL))


PASS = "inputs: {x: {audio: 16000}, q: {audio: 16000}}\nnodes: {a: {node: toy_scale, x: x}}\noutputs: {y: x, z: a}\n"
"""A pipeline whose output y is its input x, whose output z is twice x, and whose input q is not used."""


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            "  a: {pipeline: pass.yaml, q: x, x: a.y}\n  end: {node: toy_scale, x: a.y}\n",
            r"mine.yaml:3: nodes.a.x: the wires have a loop: a.y -> a.y; feedback lives inside a node",
        ),
        (
            "  a: {pipeline: pass.yaml, q: x, x: b.y}\n  b: {pipeline: pass.yaml, q: x, x: a.y}\n"
            "  end: {node: toy_scale, x: a.y}\n",
            r"the wires have a loop: (b.y -> a.y -> b.y|a.y -> b.y -> a.y)",
        ),
        (
            "  end: {node: toy_scale, x: a.y}\n  a: {pipeline: pass.yaml}\n",
            r"mine.yaml:4: nodes.a: pipeline 'pass' takes 'x', Audio\(16000 Hz\): wire it",
        ),
        (
            "  a: {pipeline: pass.yaml, x: x, q: [x, x]}\n  end: {node: toy_scale, x: a.y}\n",
            r"mine.yaml:3: nodes.a.q: a pipeline takes one wire; found 2",
        ),
        (
            "  a: {pipeline: pass.yaml, x: x, q: nope}\n  end: {node: toy_scale, x: a.y}\n",
            r"mine.yaml:3: nodes.a.q: takes from 'nope', but nothing is called 'nope'",
        ),
        (
            "  a: {pipeline: pass.yaml, x: x, q: x}\n  end: {node: toy_scale, x: a}\n",
            r"mine.yaml:4: nodes.end.x: takes from 'a', which has 2 outputs: write 'a.y' or 'a.z'",
        ),
        (
            "  a: {pipeline: pass.yaml, x: x, q: x}\n  end: {node: toy_scale, x: a.w}\n",
            r"mine.yaml:4: nodes.end.x: takes from 'a.w', but 'a' has no output 'w'; there are: y, z",
        ),
        (
            "  a: {pipeline: pass.yaml, x: x, q: x}\n  a/a: {node: toy_scale, x: x}\n  end: {node: toy_scale, x: a.y}\n",
            r"mine.yaml:4: nodes.a/a: a name is letters, digits and _",
        ),
    ],
)
def test_wires_through_a_pipeline_are_refused_at_their_line(tmp_path: Path, entries: str, message: str) -> None:
    written(tmp_path, PASS, "pass.yaml")
    with pytest.raises(PipelineError, match=message):
        graph_of(written(tmp_path, HEAD + entries + TAIL))


def test_an_output_that_is_an_input_goes_straight_through(tmp_path: Path) -> None:
    written(tmp_path, PASS, "pass.yaml")
    own = written(
        tmp_path,
        HEAD + "  end: {node: toy_sum, x: [b.y, b.z]}\n  b: {pipeline: pass.yaml, x: a.y, q: x}\n"
        "  a: {pipeline: pass.yaml, x: x, q: b.z}\n" + TAIL,
    )
    graph = graph_of(own)
    assert graph.wires["end.x"] == ("x", "b/a.y")
    assert graph(x=np.ones(9))["y"][0] == 1 + 2, "straight through, and twice"


CODES = """\
import numpy as np
from dspgraph import *


class ToySymbols(Node):
    '''The sign of every sample, as a symbol.'''

    x = Input(Audio)
    codes = Output(Symbols, "coarse")

    def streams(self, x):
        return (Symbols(x.rate, "coarse", 16, x.dtype),)

    def step(self, state, x):
        return state, (x > 0).astype(np.int64)


class ToyCodes(Node):
    '''Symbols as samples.'''

    codes = Input(Symbols, "coarse")
    y = Output(Audio)

    def streams(self, codes):
        return (Audio(codes.rate, dtype=codes.precision),)

    def step(self, state, codes):
        return state, codes.astype(np.float64)
"""


CLASSES = {
    "audio": ("{node: toy_scale, x: x}", "{audio: 16000}", "{node: toy_scale, x: q}", "e"),
    "frames": ("{node: toy_frames, x: x}", "{frames: wave, rate: 100, width: 160}", "{node: toy_energy, frames: q}", "e.level"),
    "symbols": ("{node: toy_symbols, x: x}", "{symbols: coarse, rate: 16000, size: 16}", "{node: toy_codes, codes: q}", "e"),
}  # fmt: skip
"""Class of stream -> a node that returns such a stream, how a pipeline file declares it as an input, the node that
takes this input, and the output of this node.
"""


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_pipeline_that_stands_as_a_node_takes_every_class_of_input(tmp_path: Path, kind: str, precision: str) -> None:
    gives, declared, takes, output = CLASSES[kind]
    plugins = [TOYS, written(tmp_path, CODES, "codes.py")]
    written(tmp_path, f"inputs: {{q: {declared}}}\nnodes: {{e: {takes}}}\noutputs: {{y: {output}}}\n", "in.yaml")
    text = HEAD + f"  a: {gives}\n  end: {{pipeline: in.yaml, q: a}}\n" + TAIL
    graph = load(written(tmp_path, text), [f"precision={precision}"], plugins=plugins)
    assert graph.outputs["y"].dtype == np.dtype(precision), "precision belongs to the whole"
    with pytest.raises(PipelineError, match=r"nodes.end.q: pipeline 'in' takes .*; a\.\w+ gives .*: set its vars"):
        load(written(tmp_path, text.replace("16000", "8000")), plugins=plugins)


def test_a_wrong_precision_names_the_nodes_that_have_such_a_parameter(tmp_path: Path) -> None:
    code = CODES.split("class ToyCodes")[0].replace("x = Input", 'precision: str = "int8"\n    x = Input')
    nodes = "  a: {node: toy_symbols, x: x}\n  b: {node: toy_unknown, x: x}\n  end: {node: toy_scale, x: x}\n"
    file, plugins = written(tmp_path, HEAD + nodes + TAIL), [TOYS, written(tmp_path, code, "codes.py")]
    with pytest.raises(PipelineError) as raised:
        load(file, ["precision=int8"], plugins=plugins)
    assert str(raised.value).endswith("; found 'int8' (a parameter of a node is set as NODE.PARAMETER: a.precision)")
    with pytest.raises(PipelineError, match="found 'x'$"):
        load(file, ["seed=x"], plugins=plugins)


def test_precision_and_seed_belong_to_the_whole(tmp_path: Path) -> None:
    """The precision of the outer pipeline counts. An inner pipeline with another seed is refused."""
    noise = "inputs: {x: {audio: 16000}}\nnodes: {a: {node: toy_noise, like: x}}\noutputs: {y: a}\n"
    written(tmp_path, "precision: float32\nseed: 5\n" + noise, "noise.yaml")
    written(tmp_path, HEAD + "  end: {pipeline: noise.yaml, x: x}\n" + TAIL, "between.yaml")
    own = written(tmp_path, HEAD + "  end: {pipeline: between.yaml, x: x}\n" + TAIL)
    graph = graph_of(own, "seed=5")
    assert graph.outputs["y"].dtype == np.float64
    assert graph.seed == 5
    assert graph_of(own, "seed=5", "precision=float32").outputs["y"].dtype == np.float32
    with pytest.raises(
        PipelineError, match=r"noise.yaml:2: seed: is 5, and 0 in the pipeline that uses this one: .*leave"
    ):
        graph_of(own)


def test_what_is_inside_a_pipeline_can_be_set_and_swapped(tmp_path: Path, base: Path) -> None:
    written(
        tmp_path,
        "inputs: {x: {audio: 8000}}\nnodes: {mid: {pipeline: base.yaml, speech: x, rate: 8000}}\noutputs: {y: mid}\n",
        "between.yaml",
    )
    own = written(
        tmp_path,
        "inputs: {speech: {audio: 8000}}\nnodes: {end: {pipeline: between.yaml, x: speech}}\n" + TAIL
        + "variants: {end: {direct: {pipeline: base.yaml, speech: speech}}}\n",
    )  # fmt: skip

    def gain(*overrides: str, **swap: str) -> float:
        return gain_of(load(own, overrides, {key.replace("_", "."): value for key, value in swap.items()}, [TOYS]))

    assert gain() == 3 + 1
    assert gain("end.mid.loud.factor=5") == gain("end/mid/loud.factor=5") == 5 + 1, "as people or `show` write it"
    assert gain("end.mid.factor=6") == 6 + 1, "its vars too"
    assert gain(end_mid_loud="soft") == 0.5 + 1
    assert gain("end.mid.loud.factor=9", end_mid_loud="soft") == 9 + 1
    assert gain(end_loud="soft", end="direct") == 0.5 + 1, "the outer swap comes first"
    for override, message in [
        ("end.mid.lout.factor=2", r"nodes.end: in the pipeline 'between.yaml': .*'lout.factor=2': no node .* 'lout'"),
        ("end.factr=2", r"'end.factr=2': nodes.end.factr: pipeline 'between' has no input or var 'factr'"),
        ("and.mid.factor=2", "no node is called 'and'; did you mean 'end'"),
    ]:
        with pytest.raises(RequestError, match=message):
            gain(override)
    with pytest.raises(RequestError, match="'loud' has no variant 'sofd'; did you mean 'soft'"):
        gain(end_mid_loud="sofd")


def test_a_pipeline_that_stands_in_many_places_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 5 levels uses the level below twice: 63 pipelines in all, but only 6 files are read."""
    one = "inputs: {x: {audio: 16000}}\nnodes: {a: {node: toy_scale, x: x}}\noutputs: {y: a}\n"
    written(tmp_path, one, "p0.yaml")
    for k in range(1, 6):
        nodes = f"  a: {{pipeline: p{k - 1}.yaml, x: x}}\n  b: {{pipeline: p{k - 1}.yaml, x: a}}\n"
        written(tmp_path, HEAD + nodes + "outputs: {y: b}\n", f"p{k}.yaml")
    seen: list[str] = []

    def counting(text: str, where: str, lines: bool = False) -> Source:
        seen.append(where)
        return parse(text, where, lines)

    monkeypatch.setattr("dspgraph.pipeline.read.parse", counting)
    assert len(graph_of(tmp_path / "p5.yaml").nodes) == 32
    assert len(seen) == 6


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (30, "more than 20 pipelines are one inside the other"),
        pytest.param(11, "more than 1000 pipelines are used as nodes", marks=pytest.mark.slow),
    ],
)
def test_pipelines_that_would_fill_the_memory_are_refused(tmp_path: Path, levels: int, message: str) -> None:
    """Each level uses the level below twice: the lowest of 30 levels is used 2**30 times, and that of 11 2**11 times.

    levels: the number of levels.
    """
    written(tmp_path, "inputs: {x: {audio: 16000}}\nnodes: {a: {node: toy_scale, x: x}}\noutputs: {y: a}\n", "p0.yaml")
    for k in range(1, levels + 1):
        nodes = f"  a: {{pipeline: p{k - 1}.yaml, x: x}}\n  b: {{pipeline: p{k - 1}.yaml, x: x}}\n"
        written(tmp_path, HEAD + nodes + "outputs: {y: b}\n", f"p{k}.yaml")
    with pytest.raises(PipelineError, match=message):
        graph_of(tmp_path / f"p{levels}.yaml")


@pytest.mark.thorough
def test_the_nodes_of_all_pipelines_together_are_limited(tmp_path: Path) -> None:
    nodes = "".join(f"  a{k}: {{node: toy_scale, x: x}}\n" for k in range(500))
    written(tmp_path, HEAD + nodes + "outputs: {y: a0}\n", "wide.yaml")
    own = written(
        tmp_path, HEAD + "".join(f"  b{k}: {{pipeline: wide.yaml, x: x}}\n" for k in range(4)) + "outputs: {y: b0}\n"
    )
    with pytest.raises(PipelineError, match="more than 2000 nodes, those of the pipelines that are used as nodes"):
        graph_of(own)


TABLE = """\
from dspgraph import Audio, Field, File, Input, Node, Output

class ToyTable(Node):
    x = Input(Audio)
    y = Output(Audio)
    table: File | None = None
    label: str = ""
"""


READING = """\
vars: {table: in/vars, name: n}
inputs: {speech: {audio: 8000}}
nodes:
  a: {node: toy_table, x: speech, table: in/node, label: in/node}
  b: {node: toy_table, x: speech, table: "${table}"}
  c: {node: toy_table, x: speech, table: "in/${name}"}
  d: {node: toy_table, x: speech, table: /root}
  e: {node: toy_table, x: speech}
outputs: {a: a, b: b, c: c, d: d, e: e}
variants:
  a:
    other: {node: toy_table, x: speech, table: swapped}
"""


def tables(path: Path, *overrides: str, **swap: str) -> dict[str, str | None]:
    graph = load(path, overrides, swap, [path.parent / "plugin.py"])
    return {name: getattr(node, "table", None) for name, node in graph.nodes.items()}


def test_the_path_of_a_file_may_stand_inside_a_var_that_another_var_names(tmp_path: Path) -> None:
    written(tmp_path, TABLE, "plugin.py")
    text = READING.replace(
        "{table: in/vars, name: n}", '{table: "${one.table}", one: "${two}", two: {table: in/vars}, name: n}'
    )
    assert tables(written(tmp_path, text))["b"] == f"{tmp_path}/in/vars"


def test_the_path_of_a_file_is_seen_from_where_it_is_written(tmp_path: Path) -> None:
    written(tmp_path, TABLE, "plugin.py")
    (tmp_path / "low").mkdir()
    path = written(tmp_path, READING)
    here = {"a": f"{tmp_path}/in/node", "b": f"{tmp_path}/in/vars", "c": f"{tmp_path}/in/n", "d": "/root", "e": None}
    assert tables(path) == here
    assert getattr(load(path, plugins=[tmp_path / "plugin.py"]).nodes["a"], "label", "") == "in/node"
    boxes = build_diagram(load(path, plugins=[tmp_path / "plugin.py"])).boxes
    assert [box.parameters for box in boxes if (box.role, box.name) == ("node", "b")] == [
        (f"table={tmp_path}/in/vars",)
    ]
    # The command line is the working directory's
    assert tables(path, "a.table=x/y", "table=z") == here | {"a": "x/y", "b": "z"}
    assert tables(path, "name=m", a="other") == here | {"a": f"{tmp_path}/swapped", "c": f"{tmp_path}/in/m"}
    # A file that lays another under it: each path is that of the file it stands in
    other = written(tmp_path, "extends: ../mine.yaml\nvars: {table: own}\n", "low/other.yaml")
    (tmp_path / "low" / "plugin.py").write_text(TABLE)
    low = {name: f"{tmp_path}/low/../{name}" for name in ("in/node", "in/n")}
    assert tables(other) == {"a": low["in/node"], "b": f"{tmp_path}/low/own", "c": low["in/n"], "d": "/root", "e": None}


@pytest.mark.parametrize("given", ["table: given", 'table: "${mine}"'])
def test_the_path_of_a_file_goes_with_the_var_into_a_pipeline_that_stands_as_a_node(tmp_path: Path, given: str) -> None:
    (tmp_path / "low").mkdir()
    written(tmp_path, TABLE, "plugin.py")
    written(tmp_path, READING, "low/inner.yaml")
    outer = written(
        tmp_path,
        "vars: {mine: given}\ninputs: {speech: {audio: 8000}}\nnodes:\n"
        f"  in: {{pipeline: low/inner.yaml, speech: speech, {given}}}\noutputs: {{y: in.b}}\n",
    )
    assert tables(outer)["in/b"] == f"{tmp_path}/given"
    assert tables(outer)["in/a"] == f"{tmp_path}/low/in/node"
    assert tables(outer, "in.table=asked")["in/b"] == "asked"
    assert tables(outer, "mine=asked")["in/b"] == ("asked" if "mine" in given else f"{tmp_path}/given")


def test_a_text_may_hold_a_colon_and_a_var(tmp_path: Path) -> None:
    own = written(tmp_path, "about: 'hop: ${hop}'\nvars: {hop: 3}\n" + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL)
    assert Pipeline(own).document.about == "hop: 3"


def test_an_empty_section_is_none_and_null_removes_one(tmp_path: Path, base: Path) -> None:
    assert variants(written(tmp_path, "extends: base.yaml\nvariants: null\n")) == [{}]
    assert graph_of(written(tmp_path, "vars:\nvariants:\n" + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL)).nodes
    with pytest.raises(PipelineError, match=r"mine.yaml: outputs is missing: the streams that come out"):
        graph_of(written(tmp_path, "extends: base.yaml\noutputs: null\n"))


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + ".yaml", "", ".", "/", "a\0b.yaml"])
def test_a_name_no_file_can_have_names_none(name: str) -> None:
    with pytest.raises(UnknownName, match=r"no pipeline (is called|file)|the pipeline cannot be read"):
        load(name)


def test_a_pipeline_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no pipeline is called 'lpc_vocodr'; did you mean 'lpc_vocoder'"):
        load("lpc_vocodr")
    with pytest.raises(UnknownName, match="the pipeline cannot be read: nothing.yaml does not exist"):
        load("nothing.yaml")


def test_every_shipped_pipeline_says_what_it_is_about() -> None:
    listed = {one.name: one for one in summaries() if one.pack == "dspgraph"}
    assert list(listed) == list(shipped_pipelines())
    for name, one in listed.items():
        assert one.about, name
        assert "\n" not in one.about, name
        assert one.slots == Pipeline(name).slots
    assert "residual" in listed["lpc_vocoder"].slots["excitation"]


@pytest.mark.slow
def test_a_long_chain_of_pipelines_that_pass_their_input_on_is_followed(tmp_path: Path) -> None:
    """A chain of 901 stages, each a pipeline that passes its input on, is followed; a loop in it is an error.

    A recursive function would exceed Python's recursion limit.
    """
    pass_on = "inputs: {x: {audio: 16000}}\nnodes: {idle: {node: toy_scale, x: x}}\noutputs: {y: x}\n"
    written(tmp_path, pass_on, "pass.yaml")
    last = 900
    nodes = "".join(f"  n{k}: {{pipeline: pass.yaml, x: n{k + 1}}}\n" for k in range(last))
    own = written(tmp_path, f"{HEAD}{nodes}  n{last}: {{pipeline: pass.yaml, x: x}}\noutputs: {{y: n0}}\n")
    graph = graph_of(own)
    assert graph.origins == {"y": "x"}
    text = own.read_text().replace(
        f"n{last}: {{pipeline: pass.yaml, x: x}}", f"n{last}: {{pipeline: pass.yaml, x: n0}}"
    )
    with pytest.raises(PipelineError, match=r"the wires have a loop: n1 -> n2 -> .*; feedback lives inside a node"):
        graph_of(written(tmp_path, text))


def test_of_many_complaints_the_first_are_told(tmp_path: Path) -> None:
    keys = "".join(f"k{k}: 1\n" for k in range(1000))
    with pytest.raises(PipelineError) as caught:
        load(written(tmp_path, f"{keys}{HEAD}  end: {{node: toy_scale, x: x}}\n{TAIL}"), plugins=[TOYS])
    assert len(caught.value.complaints) == 6
    assert caught.value.complaints[-1] == "and 995 more complaints"


@pytest.mark.thorough
@pytest.mark.parametrize("element", ["on", "x", "[1]"])
def test_a_list_of_thousands_of_wrong_elements_is_refused_soon(tmp_path: Path, element: str) -> None:
    taps = ", ".join([element] * 4500)
    message = r"mine.yaml:3: nodes.end.taps: fir.taps is .*it must be a list, each a number"
    with soon(), pytest.raises(PipelineError, match=message) as caught:
        load(written(tmp_path, f"{HEAD}  end: {{node: fir, x: x, taps: [{taps}]}}\n{TAIL}"))
    assert len(str(caught.value)) < 2000


def test_the_text_of_a_file_reaches_no_terminal_as_it_is(tmp_path: Path) -> None:
    """Control characters of a file are escaped in errors.

    Printed unchanged, the text could set the title of the terminal or forge a second message.
    """
    own = written(tmp_path, '"\\e]0;title\\a\\nforged": 1\n' + HEAD + "  end: {node: toy_scale, x: x}\n" + TAIL)
    with pytest.raises(PipelineError) as caught:
        load(own, plugins=[TOYS])
    assert str(caught.value).startswith(f"{own}:1: \\x1b]0;title\\x07\\nforged: no such key; there are: about")
    assert str(caught.value).isprintable()


def test_a_wrong_input_is_explained(tmp_path: Path) -> None:
    nodes = f"nodes:\n  end: {{node: toy_scale, x: x}}\n{TAIL}"
    for entry, message in [
        ("{frames: 80}", "inputs.x.frames: input should be a valid string; found 80: frames is the kind of row: wave"),
        ("{frames: mel, width: 80}", "inputs.x.rate is missing: rows per second"),
        ("{mel: 80}", r"inputs.x: must be .* such as \{audio: 16000\}, \{frames: spectrum, rate: 100, width: 513\}"),
    ]:
        with pytest.raises(PipelineError, match=message):
            graph_of(written(tmp_path, f"inputs: {{x: {entry}}}\n{nodes}"))


def test_an_unknown_node_names_the_option_for_plugins(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no node is called 'toy_scale'; .* \(a node of your own: --plugin FILE\)"):
        load(written(tmp_path, f"{HEAD}  end: {{node: toy_scale, x: x}}\n{TAIL}"))


def test_a_hint_names_only_nodes_that_give_what_is_taken(tmp_path: Path) -> None:
    """The node `log_magnitude` is proposed for magnitudes, but not for mel bands.

    For mel bands it returns log_mel, which does not fit. For the unknown kind foo, no node is proposed.
    """
    nodes = "nodes:\n  end: {node: cepstrum, log_magnitude: x}\n"
    for kind, hint in [("magnitude", ": put a 'log_magnitude' node between them"), ("mel", "")]:
        text = f"inputs: {{x: {{frames: {kind}, rate: 100, width: 513}}}}\n{nodes}{TAIL}"
        with pytest.raises(PipelineError, match=rf"x gives Frames\('{kind}', 513 wide, 100 Hz\){hint}$"):
            load(written(tmp_path, text))
    text = f"inputs: {{x: {{frames: foo, rate: 100, width: 513}}}}\nnodes:\n  end: {{node: griffin_lim, magnitude: x}}\n{TAIL}"
    with pytest.raises(PipelineError, match=r"x gives Frames\('foo', 513 wide, 100 Hz\)$"):
        load(written(tmp_path, text))
