"""Merged graphs: each gives the outputs that it gives alone, bit for bit, and common nodes occur once."""

import pickle
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
import pytest

from dspgraph import Audio, Graph, GraphError, Node, UnknownName, load
from dspgraph.pipeline.pipeline import variants
from dspgraph.registry import shipped_pipelines
from dspgraph.testing import check_graph, example_signals
from dspgraph.wiring.merge import merge
from helpers.networks import overrides
from helpers.speech import speech
from helpers.toys import ToyApply, ToyEnergy, ToyFrames, ToyNoise, ToyScale, ToySum

T = TypeVar("T")

X = np.random.default_rng(1).standard_normal(700)


def every(pipeline: str, *settings: str) -> list[Graph]:
    """Return the graphs of all variants of a shipped pipeline; networks get random weights. settings: overrides."""
    return [load(pipeline, [*settings, *overrides(pipeline)], swap) for swap in variants(pipeline)]


def alone(graphs: list[Graph], **signals: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for k, graph in enumerate(graphs):
        yield from ((f"v{k}/{name}", array) for name, array in graph(**signals).items())


def check_same(graphs: list[Graph], **signals: np.ndarray) -> Graph:
    """Merge graphs, assert that the merged graph gives the outputs of each of them and no others, and return it.

    The output y of the graph k, from 0, is called vk/y, and has the same bits. signals: the inputs, the same for all.
    """
    together = merge(graphs)
    found = together(**signals)
    for name, array in alone(graphs, **signals):
        assert found.pop(name).tobytes() == array.tobytes(), name
    assert not found
    return together


@pytest.mark.thorough
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("pipeline", shipped_pipelines())
def test_all_variants_of_a_shipped_pipeline_give_in_one_what_each_gives_alone(pipeline: str, precision: str) -> None:
    graphs = every(pipeline, f"precision={precision}")
    together = check_same(graphs, **example_signals(graphs[0], lambda stream: speech()[9000:12200], 1))
    assert len(together.order) == len(together.nodes) <= sum(len(graph.order) for graph in graphs)


def test_what_the_variants_of_a_pipeline_have_in_common_is_there_once() -> None:
    """The six variants have 3 * 11 + 9 + 9 + 13 stages in all. They share the first five, from pre to lpc."""
    graphs = every("lpc_vocoder")
    assert sum(len(graph.order) for graph in graphs) == 64
    assert len(merge(graphs).order) == 39


@pytest.mark.parametrize("pipeline", ["lpc_vocoder", "gansynth"])
def test_no_cut_changes_graphs_in_one(pipeline: str) -> None:
    graphs = every(pipeline, "precision=float32")
    check_graph(merge(graphs), {"speech": speech()[9000:11400].astype(np.float32)}, cuts=(37, 160, 1001))


# ---- noise ----------------------------------------------------------------------------------------------------------


def noise(name: str = "draw", seed: int = 0, of: Node | None = None) -> Graph:
    nodes = {"start": of or ToyScale(), name: ToyNoise(), "end": ToySum()}
    wires = {"start.x": "x", f"{name}.like": "start", "end.x": ("start", name)}
    return Graph(nodes, wires, {"x": Audio(8000)}, {"y": "end"}, seed)


def test_noise_under_one_name_is_drawn_once() -> None:
    assert len(check_same([noise(), noise()], x=X).order) == 3


def test_noise_under_two_names_is_two() -> None:
    together = check_same([noise("a"), noise("b")], x=X)
    assert sorted(together.order) == ["a", "b", "end", "start", "v1/end"]


def test_noise_under_one_name_beside_other_signals_is_two_that_are_the_same() -> None:
    """Two graphs have a noise node `draw` with different inputs: merged, both draw the numbers that each draws alone.

    The second node gets another name, and keeps its numbers by its noise key.
    """
    together = check_same([noise(), noise(of=ToyScale(factor=3.0))], x=X)
    assert dict(together.noise_keys) == {"v1/draw": "draw"}
    check_same([together, noise("v1/draw"), noise()], x=X)  # and again, in a union of unions


@pytest.mark.parametrize("change", ["pickle", "replace", "tapped"])
def test_a_graph_made_from_graphs_in_one_draws_the_same_noise(change: str) -> None:
    together = merge([noise(), noise(of=ToyScale(factor=3.0))])
    made: Graph
    if change == "pickle":
        made = pickle.loads(pickle.dumps(together))
    else:
        made = together.replace("end", ToySum()) if change == "replace" else together.expose_all()
    assert made.noise_keys == together.noise_keys
    before, after = together(x=X), made(x=X)
    for output, origin in together.origins.items():
        np.testing.assert_array_equal(before[output], after[output if output in after else origin])


def test_the_names_that_key_noise_are_part_of_what_a_graph_is() -> None:
    graph = noise()
    named = Graph(graph.nodes, graph.wires, graph.inputs, graph.origins, graph.seed, {"draw": "other"})
    assert named != graph
    assert named.digest != graph.digest
    assert not np.array_equal(named(x=X)["y"], graph(x=X)["y"])
    np.testing.assert_array_equal(named(x=X)["y"], noise("other")(x=X)["y"])


def test_a_name_for_a_node_that_is_not_there_is_refused() -> None:
    graph = noise()
    with pytest.raises(UnknownName, match="noise_keys names 'drow', but no node is called so; did you mean 'draw'?"):
        Graph(graph.nodes, graph.wires, graph.inputs, graph.origins, 0, {"drow": "draw"})


# ---- what becomes one -----------------------------------------------------------------------------------------------


def test_ports_that_take_many_keep_the_order_of_their_wires() -> None:
    """Sums of the same signals in another order stay separate: sums of floats depend on the order of their terms."""

    def mix(*order: str) -> Graph:
        nodes = {"a": ToyScale(factor=0.1), "b": ToyScale(factor=0.2), "c": ToyScale(factor=0.3), "end": ToySum()}
        wires = {"a.x": "x", "b.x": "x", "c.x": "x", "end.x": order}
        return Graph(nodes, wires, {"x": Audio(8000)}, {"y": "end"})

    together = check_same([mix("a", "b", "c"), mix("c", "b", "a"), mix("a", "b", "c")], x=X)
    assert len(together.order) == 5


def test_equal_nodes_of_one_graph_become_one_too() -> None:
    nodes = {"a": ToyScale(), "b": ToyScale(), "end": ToySum()}
    graph = Graph(nodes, {"a.x": "x", "b.x": "x", "end.x": ("a", "b")}, {"x": Audio(8000)}, {"y": "end"})
    assert sorted(check_same([graph], x=X).order) == ["a", "end"]


def test_nodes_with_several_outputs_become_one() -> None:
    def level(port: str) -> Graph:
        nodes = {"frames": ToyFrames(hop=70), "energy": ToyEnergy(), "end": ToyApply()}
        wires = {"frames.x": "x", "energy.frames": "frames", "end.x": "x", "end.level": f"energy.{port}"}
        return Graph(nodes, wires, {"x": Audio(8000)}, {"y": "end", "level": "energy.level"})

    assert len(check_same([level("level"), level("sign")], x=X).order) == 4


def test_a_zero_with_a_sign_is_another_zero() -> None:
    graphs = [
        Graph({"a": ToyScale(factor=factor)}, {"a.x": "x"}, {"x": Audio(8000)}, {"y": "a"}) for factor in (0.0, -0.0)
    ]
    assert len(check_same(graphs, x=np.ones(5)).order) == 2


def test_an_output_that_is_an_input_is_kept_and_an_idle_node_is_not() -> None:
    graph = Graph({"idle": ToyScale()}, {"idle.x": "x"}, {"x": Audio(8000)}, {"same": "x"})
    assert not check_same([graph, noise()], x=X).nodes.keys() & {"idle"}


def test_one_graph_alone_keeps_its_nodes() -> None:
    graph = load("lpc_vocoder", (), {"excitation": "whisper"})
    together = check_same([graph], speech=speech(4000))
    assert sorted(together.order) == sorted(graph.order)
    assert dict(together.noise_keys) == {}


def test_names_never_meet() -> None:
    """A name that merging would give to a node is avoided if it is taken.

    The first graph has a node called v1/start, the name that merging would give to `start` of the second graph.
    """
    first = Graph(
        {"start": ToyScale(), "v1/start": ToyScale(factor=5.0)},
        {"start.x": "x", "v1/start.x": "start"}, {"x": Audio(8000)}, {"y": "v1/start"},
    )  # fmt: skip
    second = Graph({"start": ToyScale(factor=7.0)}, {"start.x": "x"}, {"x": Audio(8000)}, {"y": "start"})
    assert len(check_same([first, second], x=X).order) == 3


def test_a_name_is_not_taken_from_an_input() -> None:
    inputs = {"x": Audio(8000), "v1/a": Audio(8000)}
    first = Graph({"a": ToyScale()}, {"a.x": "v1/a"}, inputs, {"y": "a"})
    second = Graph({"a": ToyScale()}, {"a.x": "x"}, inputs, {"y": "a"})
    check_same([first, second], **{"x": X, "v1/a": -X})


def test_graphs_written_down_in_another_order_are_the_same_in_one() -> None:
    twice = Graph(
        {"a": ToyScale(), "b": ToyScale(), "end": ToySum()},
        {"a.x": "x", "b.x": "x", "end.x": ("a", "b")}, {"x": Audio(8000)}, {"y": "end"},
    )  # fmt: skip
    for graphs in ([twice], every("lpc_vocoder"), every("mcep_mlsa")):
        turned = [Graph(backwards(g.nodes), backwards(g.wires), g.inputs, backwards(g.origins), g.seed) for g in graphs]
        assert merge(turned).digest == merge(graphs).digest


def backwards(given: Mapping[str, T]) -> dict[str, T]:
    return {name: given[name] for name in reversed(list(given))}


# ---- what cannot be -------------------------------------------------------------------------------------------------


OTHERS = {
    "another rate": Graph({"a": ToyScale()}, {"a.x": "x"}, {"x": Audio(16000)}, {"y": "a"}),
    "another name": Graph({"a": ToyScale()}, {"a.x": "z"}, {"z": Audio(8000)}, {"y": "a"}),
    "another precision": Graph({"a": ToyScale()}, {"a.x": "x"}, {"x": Audio(8000, dtype=np.dtype("float32"))}, {"y": "a"}),
    "another seed": noise(seed=1),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_graphs_that_take_different_streams_or_draw_by_different_seeds_are_refused(what: str) -> None:
    with pytest.raises(GraphError, match="merged graphs must have the same inputs and the same seed"):
        merge([noise(), OTHERS[what]])


def test_no_graph_at_all_is_refused() -> None:
    with pytest.raises(GraphError, match="merge takes at least one graph; found none"):
        merge([])
