import hashlib
import json
import pickle
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dspgraph import (
    Audio,
    DspgraphError,
    File,
    Frames,
    Graph,
    GraphError,
    Input,
    LoopError,
    Node,
    Output,
    Symbols,
    UnknownName,
    WireError,
)
from helpers.toys import ToyApply, ToyEnergy, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum

SPEECH = {"speech": Audio(Fraction(16000))}


def two_paths(**changes: Any) -> Graph:
    """Return a graph in which speech reaches `sum` by two ways: directly, and through `scale` and `late`.

    changes: arguments of `Graph` that replace those of this graph.
    """
    arguments: dict[str, Any] = {
        "nodes": {"scale": ToyScale(), "late": ToyLate(), "sum": ToySum()},
        "wires": {"scale.x": "speech", "late.x": "scale", "sum.x": ["late.y", "speech"]},
        "inputs": SPEECH,
        "outputs": {"y": "sum"},
    }
    return Graph(**{**arguments, **changes})


def chain(*nodes: Node, **inputs: Any) -> Graph:
    wires = {f"n{k}.{node.inputs[0].name}": f"n{k - 1}" if k else "speech" for k, node in enumerate(nodes)}
    return Graph({f"n{k}": node for k, node in enumerate(nodes)}, wires, inputs or SPEECH, {"y": f"n{len(nodes) - 1}"})


def test_the_error_of_a_wire_is_the_same_in_another_process() -> None:
    with pytest.raises(WireError) as caught:
        Graph({"gain": ToyScale(factor=2)}, {"gain.x": "x"}, {"x": Frames(100, "mel", 4)}, {"y": "gain"})
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.taker, error.stream) == (str(caught.value), "gain.x", Frames(100, "mel", 4))


def test_wires_are_resolved_to_ports() -> None:
    graph = two_paths()
    assert graph.wires == {"scale.x": "speech", "late.x": "scale.y", "sum.x": ("late.y", "speech")}
    assert graph.order == ("scale", "late", "sum")
    assert graph.outputs == {"y": Audio(Fraction(16000))}


def test_a_graph_loads_networkx_only_for_its_dag() -> None:
    code = (
        "import sys; from dspgraph import load; graph = load('lpc_vocoder'); graph.order, graph.digest, graph.session();"
        "print('networkx' in sys.modules); graph.dag; print('networkx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("seed", range(20))
def test_the_orders_are_those_of_networkx(seed: int) -> None:
    import networkx

    draw = random.Random(seed)
    names = draw.sample([f"{letter}{k}" for letter in "abc" for k in range(10)], 12)
    ranks = draw.sample(range(12), 12)  # a node takes from inputs and from nodes of lower rank
    wires: dict[str, list[str]] = {}
    for name, rank in zip(names, ranks, strict=True):
        below = ["x", *(other for other, of in zip(names, ranks, strict=True) if of < rank)]
        wires[f"{name}.x"] = [draw.choice(below) for _ in range(draw.randint(1, 3))]
    graph = Graph({name: ToySum() for name in names}, wires, {"x": SPEECH["speech"]}, {"y": names[0]})
    needed = networkx.ancestors(graph.dag, names[0]) | {names[0]}
    assert list(graph.order) == [name for name in networkx.topological_sort(graph.dag) if name in needed - {"x"}]
    sort = networkx.lexicographical_topological_sort(graph.dag)
    assert list(graph.canonical_order) == [name for name in sort if name in needed - {"x"}]


def test_the_dag_is_a_networkx_graph_with_nodes_and_streams() -> None:
    import networkx

    dag = two_paths().dag
    assert networkx.is_directed_acyclic_graph(dag)
    assert dag.nodes["scale"]["node"] == ToyScale()
    assert {(a, b, edge["port"], str(edge["stream"])) for a, b, edge in dag.edges(data=True)} == {
        ("speech", "scale", "x", "Audio(16000 Hz)"),
        ("scale", "late", "x", "Audio(16000 Hz)"),
        ("late", "sum", "x", "Audio(16000 Hz)"),
        ("speech", "sum", "x", "Audio(16000 Hz)"),
    }


def test_a_node_no_output_needs_is_idle() -> None:
    graph = two_paths(outputs={"y": "scale"})
    assert graph.order == ("scale",)
    assert graph.unused == ("late", "sum")


def test_two_paths_arrive_together() -> None:
    """A sum waits for its slower input and shifts no signal: its output is 2 * x + x, sample by sample."""
    x = np.random.default_rng(0).standard_normal(5000)
    np.testing.assert_array_equal(two_paths()(speech=x)["y"], 2 * x + x)


def test_replace_keeps_the_wires_of_the_slot() -> None:
    graph = two_paths().replace("scale", ToyScale(factor=3))
    assert graph.nodes["scale"] == ToyScale(factor=3)
    assert graph.wires == two_paths().wires
    other = two_paths().replace("late", ToyNoise(), like="speech")
    assert other.wires["late.like"] == "speech"
    assert other.wires["sum.x"] == ("late.y", "speech")
    with pytest.raises(WireError, match=r"late.like is not wired; it takes Audio"):
        two_paths().replace("late", ToyNoise())
    with pytest.raises(UnknownName, match="no node is called 'lat'; did you mean 'late'"):
        two_paths().replace("lat", ToyNoise())


def test_the_digest_covers_what_the_samples_depend_on() -> None:
    digest = two_paths().digest
    assert two_paths().digest == digest
    assert pickle.loads(pickle.dumps(two_paths())).digest == digest
    nodes = {"scale": ToyScale(), "late": ToyLate(), "sum": ToySum()}
    for changes in (
        {"nodes": {**nodes, "scale": ToyScale(factor=3)}},
        {"nodes": {**nodes, "scale": ToyLate()}},
        {"wires": {"scale.x": "speech", "late.x": "scale", "sum.x": ["speech", "late"]}},
        {"inputs": {"speech": Audio(Fraction(8000))}},
        {"inputs": {"speech": Audio(Fraction(16000), dtype=np.dtype(np.float32))}},
        {"seed": 1},
    ):
        assert two_paths(**changes).digest != digest, changes
    assert two_paths(nodes={**nodes, "idle": ToyPeak()}, wires={**two_paths().wires, "idle.x": "late"}).digest == digest


def test_the_description_is_plain_data_of_what_runs_and_the_digest_its_hash() -> None:
    graph = two_paths(outputs={"y": "scale"}, seed=4)
    found = graph.description
    assert json.loads(json.dumps(found)) == found
    assert found["nodes"] == {"scale": {"type": "toy_scale", "parameters": {"factor": 2.0}, "wires": {"x": "speech"}}}
    assert found["inputs"] == {"speech": {"stream": "Audio", "rate": "16000", "channels": 1, "dtype": "float64"}}
    assert (found["outputs"], found["seed"]) == ({"y": "scale.y"}, 4)
    assert list(found["sources"].values()) == [["toy_scale"]]
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert graph.digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_description_does_not_depend_on_the_order_things_were_written_in() -> None:
    nodes: dict[str, Node] = {"sum": ToySum(), "late": ToyLate(), "scale": ToyScale()}
    other = two_paths(nodes=nodes, wires=dict(reversed([*two_paths().wires.items()])))
    assert json.dumps(other.description) == json.dumps(two_paths().description)


class ToyTable(Node):
    """A node with a file as parameter. It has no `step`: only its digest is computed."""

    x = Input(Audio)
    y = Output(Audio)

    table: File


def test_the_digest_covers_what_is_in_files_and_not_where_they_lie(tmp_path: Path) -> None:
    digests = []
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
        digests.append(chain(ToyTable(table=str(tmp_path / name))).digest)
    assert digests[0] == digests[1] != digests[2]
    (tmp_path / "a").write_text("three")
    assert chain(ToyTable(table=str(tmp_path / "a"))).digest not in digests


def test_equal_graphs_are_equal() -> None:
    assert two_paths() == two_paths()
    assert hash(two_paths()) == hash(two_paths())
    assert two_paths() != two_paths(seed=1)


# ---- latency --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "seconds", "path"),
    [
        (chain(ToyScale()), 0, ()),
        (two_paths(), Fraction(100, 16000), ("late",)),
        (chain(ToyLate(), ToyScale(), ToyLate(samples=60)), Fraction(160, 16000), ("n0", "n2")),
        (chain(ToyLate(), ToyPeak()), float("inf"), ("n0", "n1")),
    ],
)
def test_latency_is_the_longest_path_and_names_it(graph: Graph, seconds: Any, path: tuple[str, ...]) -> None:
    assert graph.latency().seconds == seconds
    assert graph.latency().path == path


def levels(rate: int, hop: int, late: int) -> Graph:
    """Return a graph that multiplies each sample by the energy of its row.

    A sample waits for the end of its row, and for `late` samples more. rate: Hz; hop: samples in a row.
    """
    nodes = {"late": ToyLate(samples=late), "frames": ToyFrames(hop=hop), "energy": ToyEnergy(), "apply": ToyApply()}
    wires = {
        "late.x": "x",
        "frames.x": "late",
        "energy.frames": "frames",
        "apply.x": "x",
        "apply.level": "energy.level",
    }
    return Graph(nodes, wires, {"x": Audio(Fraction(rate))}, {"y": "apply"})


@pytest.mark.parametrize(("rate", "hop", "late"), [(16000, 160, 100), (22050, 441, 3), (8000, 50, 50), (16000, 7, 13)])
def test_latency_is_what_pushing_sample_by_sample_shows(rate: int, hop: int, late: int) -> None:
    """Every item comes out at most `latency` after the end of its span, and some item takes as long as that."""
    graph = levels(rate, hop, late)
    session = graph.session()
    out, worst = 0, 0
    for pushed in range(1, 6 * hop + late):
        arrived = len(session.push(x=np.ones(1))["y"])
        if arrived:
            worst = max(worst, pushed - (out + 1))
        out += arrived
    assert graph.latency().seconds == Fraction(worst, rate)
    assert graph.latency().path == ("late", "apply")


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: two_paths(wires={"scale.x": "late", "late.x": "scale", "sum.x": "late"}), LoopError,
         "the graph has a loop: scale -> late -> scale; feedback lives inside a node"),
        (lambda: two_paths(wires={"scale.x": "scale", "late.x": "scale", "sum.x": "late"}), LoopError,
         "the graph has a loop: scale -> scale"),
        (lambda: two_paths(wires={"scale.x": "speech", "sum.x": "scale"}), WireError,
         r"late.x is not wired; it takes Audio: say where it comes from"),
        (lambda: two_paths(wires={"scale.x": ["speech", "late"], "late.x": "scale", "sum.x": "late"}), WireError,
         "scale.x takes one wire; found 2: mix them first"),
        (lambda: two_paths(wires={"scale.x": "speech", "late.x": "scale", "sum.x": []}), WireError, "found none"),
        (lambda: two_paths(wires={"scal.x": "speech"}), UnknownName, "no node is called 'scal'; did you mean 'scale'"),
        (lambda: two_paths(wires={"scale.in": "speech"}), UnknownName, r"scale \(toy_scale\) has no input 'in'; there are: x"),
        (lambda: two_paths(wires={"scale.x": "speach"}), UnknownName, "nothing is called 'speach'; did you mean 'speech'"),
        (lambda: two_paths(wires={"scale.x": "speech", "late.x": "scale.z"}), UnknownName,
         r"late.x: scale \(toy_scale\) has no output 'z'; there are: y"),
        (lambda: two_paths(outputs={"y": "sun"}), UnknownName, "the output 'y' takes from 'sun', .* did you mean 'sum'"),
        (lambda: two_paths(outputs={}), GraphError, "at least one input and one output"),
        (lambda: two_paths(inputs={"scale": Audio(Fraction(8000))}), GraphError, "'scale' names an input and a node"),
        (lambda: chain(ToyFrames(), ToyScale()), WireError,
         r"n1.x takes Audio; n0.frames gives Frames\('wave', 160 wide, 100 Hz\)"),
        (lambda: chain(ToyEnergy()), WireError, r"n0.frames takes Frames\('wave'\); speech gives Audio\(16000 Hz\)"),
        (lambda: chain(ToyEnergy(), speech=Frames(Fraction(100), "lpc", 17)), WireError, r"speech gives Frames\('lpc'"),
        (lambda: chain(ToyScale(), speech=Symbols(Fraction(100), "mulaw", 256)), WireError, r"gives Symbols\('mulaw'"),
        (lambda: chain(ToyFrames(), ToyEnergy(), ToyPeak()), WireError,
         "takes from 'n1', which has 2 outputs: write 'n1.level' or 'n1.sign'"),
    ],
)  # fmt: skip
def test_what_makes_no_graph_is_refused_by_name(make: Any, error: type[DspgraphError], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(("one", "other"), [(ToyFrames(), ToyFrames(centre=0.005)), (ToyFrames(), ToyFrames(hop=80))])
def test_frames_that_meet_agree_on_rate_and_centre(one: Node, other: Node) -> None:
    class Meet(Node):
        """Take two streams of frames."""

        a = Input(Frames, "wave")
        b = Input(Frames, "wave")
        y = Output(Frames, "wave")

    with pytest.raises(WireError, match="the frames that meet in 'meet' differ: .* rate and centre must agree"):
        Graph(
            {"one": one, "other": other, "meet": Meet()},
            {"one.x": "speech", "other.x": "speech", "meet.a": "one", "meet.b": "other"},
            SPEECH,
            {"y": "meet"},
        )


def test_the_centre_of_frames_that_are_used_for_their_spans_does_not_matter() -> None:
    class Span(Node):
        """Take two streams of frames; of `b` only the span of each row counts, not the centre of its window."""

        a = Input(Frames, "wave")
        b = Input(Frames, "wave", any_centre=True)
        y = Output(Frames, "wave")

    def graph(other: Node) -> Graph:
        wires = {"one.x": "speech", "other.x": "speech", "span.a": "one", "span.b": "other"}
        return Graph({"one": ToyFrames(), "other": other, "span": Span()}, wires, SPEECH, {"y": "span"})

    graph(ToyFrames(centre=0.005))
    with pytest.raises(WireError, match="differ: .*; rate must agree: give both the same hop$"):
        graph(ToyFrames(hop=80))

    class Both(Node):
        """Take three streams of frames; the centres of `b` and `c` must agree, whatever that of `a`."""

        a = Input(Frames, "wave", any_centre=True)
        b = Input(Frames, "wave")
        c = Input(Frames, "wave")
        y = Output(Frames, "wave")

    nodes = {"one": ToyFrames(), "other": ToyFrames(centre=0.005), "meet": Both()}
    wires = {"one.x": "speech", "other.x": "speech", "meet.a": "one", "meet.b": "one", "meet.c": "other"}
    with pytest.raises(WireError, match="meet.b gets .* meet.c gets .*; rate and centre must agree"):
        Graph(nodes, wires, SPEECH, {"y": "meet"})
    Graph(nodes, {**wires, "meet.b": "other"}, SPEECH, {"y": "meet"})


class Faulty(Node):
    """Return the signal; the method whose name is `hook` returns `gives`, or fails if `gives` is "error"."""

    x = Input(Audio)
    y = Output(Audio)

    hook: str = "streams"
    gives: Any = None

    def streams(self, x: Audio) -> Any:
        return self._answer("streams", (x,))

    def lookahead(self, x: Audio) -> Any:
        return self._answer("lookahead", 0)

    def block_size(self, x: Audio) -> Any:
        return self._answer("block_size", None)

    def start(self, x: Audio) -> Any:
        return self._answer("start", None)

    def _answer(self, hook: str, right: Any) -> Any:
        if hook == self.hook and self.gives == "error":
            raise FileNotFoundError("weights.safetensors")
        return self.gives if hook == self.hook else right

    def step(self, state: Any, x: Any) -> Any:
        return state, x.copy()


@pytest.mark.parametrize(
    ("hook", "gives", "message"),
    [
        ("streams", None, "n0.streams gave None, not a tuple of streams"),
        ("streams", "error", r"n0 \(faulty\).streams failed: FileNotFoundError: weights"),
        ("lookahead", float("nan"), "n0.lookahead gave nan"),
        ("lookahead", -1, "n0.lookahead gave -1"),
        ("lookahead", "inf", "n0.lookahead gave 'inf'"),
        ("block_size", 0, "n0.block_size gave 0"),
        ("block_size", 0.5, "n0.block_size gave 0.5"),
        ("start", "error", r"n0 \(faulty\) start failed: FileNotFoundError: weights"),
    ],
)
def test_a_node_that_answers_wrongly_is_named(hook: str, gives: Any, message: str) -> None:
    with pytest.raises(DspgraphError, match=message):
        chain(Faulty(hook=hook, gives=gives)).session()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": {"scale": ToyScale}}, "node 'scale' is <class .*, not a node"),
        ({"inputs": {"speech": 16000}}, "input 'speech' is 16000, not a stream"),
        (
            {"wires": {"scale.x": None, "late.x": "scale", "sum.x": "late"}},
            "scale.x takes the name of an origin.* found None",
        ),
    ],
)
def test_what_is_no_node_stream_or_wire_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        two_paths(**changes)


def test_latency_of_a_long_and_a_wide_graph_is_found_at_once() -> None:
    long = chain(*[ToyLate(samples=1)] * 400)
    assert long.latency().seconds == Fraction(400, 16000)
    nodes: dict[str, Node] = {}
    wires: dict[str, Any] = {}
    last = "speech"
    for k in range(24):  # each a late and a straight way: 2**24 paths
        nodes |= {f"late{k}": ToyLate(samples=2**k), f"sum{k}": ToySum()}
        wires |= {f"late{k}.x": last, f"sum{k}.x": [f"late{k}", last]}
        last = f"sum{k}"
    assert Graph(nodes, wires, SPEECH, {"y": last}).latency().seconds == Fraction(2**24 - 1, 16000)


# ---- arrays in, arrays out ------------------------------------------------------------------------------------------


def test_the_array_of_the_only_input_needs_no_name() -> None:
    graph, x = chain(ToyScale(factor=3.0)), np.arange(5.0)
    assert graph(x)["y"].tolist() == graph(speech=x)["y"].tolist() == [0, 3, 6, 9, 12]
    both = two_paths(inputs={**SPEECH, "other": Audio(16000)})
    with pytest.raises(
        DspgraphError, match=r"only a graph with one input takes .* give it speech=\.\.\., other=\.\.\."
    ):
        both(x)
    with pytest.raises(DspgraphError, match="only a graph with one input"):
        graph(x, x)


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_map_gives_each_signal_what_it_gives_alone(batch: int) -> None:
    graph = two_paths()
    signals = [np.arange(float(n)) for n in (5, 40000, 1, 0, 300)]
    for found, x in zip(graph.map(signals, batch), signals, strict=True):
        assert found["y"].tobytes() == graph(x)["y"].tobytes()
    assert graph.map([{"speech": signals[0]}])[0]["y"].tobytes() == graph(signals[0])["y"].tobytes()


def test_map_raises_the_error_of_the_first_signal_that_fails() -> None:
    with pytest.raises(DspgraphError, match="item 1 is nan"):
        chain(ToyScale()).map([np.zeros(3), np.array([0, np.nan]), np.array([np.inf])], 3)


def test_a_tap_is_one_more_output() -> None:
    graph, x = two_paths(), np.arange(5.0)
    tapped = graph.tap("scale", "late.y", "speech")
    assert list(tapped.outputs) == ["y", "scale", "late.y", "speech"]
    assert tapped(x)["y"].tobytes() == graph(x)["y"].tobytes()
    assert tapped(x)["scale"].tobytes() == tapped.expose_all()(x)["scale.y"].tobytes()
    assert graph.tap("scale").tap("scale") == graph.tap("scale")
    with pytest.raises(
        UnknownName, match="the tap 'scael' takes from 'scael', but nothing is called 'scael'; did you mean 'scale'"
    ):
        graph.tap("scael")
    with pytest.raises(GraphError, match="the output 'late' is another stream than the tap 'late': write 'late.y'"):
        two_paths(outputs={"late": "scale"}).tap("late")
