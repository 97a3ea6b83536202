"""Nodes made from functions behave like all others, and the checks of the laws find a function that breaks them."""

# An argument has the class of its stream as annotation, and is an array when the function runs.
# mypy: disable-error-code="operator, arg-type, call-overload, index, no-any-return, valid-type"

import pickle
from typing import Any

import numpy as np
import pytest

from dspgraph import Array, Audio, Field, Frames, Graph, Input, LawError, NodeError, ParameterError, as_node
from dspgraph.testing import Example, check_node
from helpers.speech import speech


@as_node
def limit(x: Audio, peak: float = Field(0.5, gt=0, description="largest magnitude"), *, sign: int = 1) -> Array:
    """Limit samples to -peak .. peak."""
    return sign * np.clip(x, -peak, peak)


@as_node
def interval(low: Input(Frames, "f0"), high: Input(Frames, "f0")) -> Array:
    return np.maximum(high - low, 0)


@as_node
def centred(x: Audio) -> Array:
    return x - np.mean(x)


def graph_of(node: Any, **inputs: Any) -> Graph:
    return Graph({"node": node}, {f"node.{name}": name for name in inputs}, inputs, {"y": "node"})


def test_a_function_becomes_a_node_with_its_docstring_inputs_and_parameters() -> None:
    assert (limit.type_name, limit.__doc__) == ("limit", "Limit samples to -peak .. peak.")
    assert [port.name for port in limit.inputs] == ["x"]
    assert dict(limit()) == {"peak": 0.5, "sign": 1}
    x = np.array([-2.0, -0.25, 0.75], np.float32)
    found = graph_of(limit(peak=0.5, sign=-1), x=Audio(8000, dtype=np.float32))(x)["y"]
    assert found.dtype == np.float32
    assert found.tolist() == [0.5, 0.25, -0.5]


def test_it_keeps_the_laws_and_travels_to_other_processes() -> None:
    check_node(Example(limit(peak=0.1), x=(Audio(16000), speech()[8000:12000])))
    assert pickle.loads(pickle.dumps(limit(peak=0.1))) == limit(peak=0.1)
    rows = np.random.default_rng(0).uniform(80, 200, (2, 300, 1))
    check_node(Example(interval(), low=(Frames(100, "f0", 1), rows[0]), high=(Frames(100, "f0", 1), rows[1])))


def test_a_function_that_looks_at_other_items_breaks_the_law_of_blocks() -> None:
    with pytest.raises(LawError, match="law 2"):
        check_node(Example(centred(), x=(Audio(16000), speech()[8000:12000])))


def test_parameters_are_checked() -> None:
    with pytest.raises(ParameterError, match="peak"):
        limit(peak=-1)
    with pytest.raises(ParameterError, match="peek"):
        limit(peek=1)


def test_a_function_that_is_no_node_says_what_is_missing() -> None:
    with pytest.raises(NodeError, match="late: the argument 'x' has no annotation: write x: Audio for an input"):
        as_node(eval("lambda x: x", {}).__class__((lambda x: x).__code__, {}, "late"))
    for taken in ("y", "start", "inputs"):
        with pytest.raises(NodeError, match=f"an argument cannot be called '{taken}', a name of every node: rename it"):
            as_node(named(taken))
    with pytest.raises(NodeError, match="a node has at least one input: annotate an argument with Audio"):

        @as_node
        def alone(gain: float) -> Array:
            return np.ones(3)

    with pytest.raises(NodeError, match="together: the first input takes several streams"):

        @as_node
        def together(x: Input(Audio, many=True)) -> Array:
            return np.ones(3)


def named(argument: str) -> Any:
    """Return a function of two audio inputs, x and `argument`, for `as_node`."""
    found: dict[str, Any] = {"Audio": Audio}
    exec(f"def both(x: Audio, {argument}: Audio): return x", found)
    return found["both"]


def test_complex_numbers_for_audio_are_an_error() -> None:
    @as_node
    def analytic(x: Audio) -> Array:
        return np.asarray(x) + 1j

    with pytest.raises(NodeError, match="returned complex128 for a stream of float64: convert it in the function"):
        graph_of(analytic(), x=Audio(8000))(np.zeros(4))


def test_a_result_of_another_length_is_an_error_with_both_shapes() -> None:
    @as_node
    def halved(x: Audio) -> Array:
        return x[::2]

    with pytest.raises(NodeError, match=r"shape \[2\] for a block of the shape \[4\]"):
        graph_of(halved(), x=Audio(8000))(np.zeros(4))
