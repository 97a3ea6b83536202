"""Inputs that SPTK's C library or its Python wrapper handle wrongly, and the nodes of this project right.

Nodes are found by name, so that a test runs if the nodes that it needs are there.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from dspgraph import Array, Audio, Frames, Graph, ParameterError, SignalError, Stream, registry
from helpers.prediction import predictors
from helpers.speech import speech

NODES = registry.nodes()
PCM = np.round(speech(20000)[8000:] * 32768).astype(np.int16)
FRAMES = np.lib.stride_tricks.sliding_window_view(PCM, 256)[::80]
CEPSTRA = np.random.default_rng(1).integers(-1, 2, (150, 13)).astype(np.int16)
CEPSTRA[:, 3:] = 0  # what the filter bears: an exponent of 2 at the most


def maths(name: str) -> Any:
    """Return the module of a node, which has the node's function on arrays."""
    return sys.modules[registry.find(name).__module__]


def synthesis(module: Any, x: Array, rows: Array) -> Array:
    from dspgraph_nodes._kernels.signal.mlsa import initial_state

    y: Array = module.mlsa(x, rows, Fraction(1, 80), 0.42, 4, module.MlsaState(initial_state(rows.shape[1] - 1)))
    return y


WINDOWS = [(0, 0, [1.0]), (1, 1, [-0.5, 0.0, 0.5])]
FLAT = CEPSTRA * (np.arange(13) == 0)  # of gains and no prediction: no others are stable in whole numbers
SPREAD = 1 + CEPSTRA[:, :6] ** 2
RISING = np.tile(np.arange(4, dtype=np.int16), (5, 1))
SECTION = np.array([0.2, 0.1, 0.0, -0.5, 0.3])

CALLS: list[tuple[str, Callable[[Any, Any], Array]]] = [
    ("mcep", lambda module, as_given: module.mcep(as_given(FRAMES), 12, 0.42)),
    ("mcep_to_spectrum", lambda module, as_given: module.mcep_to_spectrum(as_given(CEPSTRA), 64, 0.42)),
    ("spectrum_to_mcep", lambda module, as_given: module.spectrum_to_mcep(as_given(2 + CEPSTRA), 6, 0.42)),
    ("mlsa", lambda module, as_given: synthesis(module, as_given(PCM), as_given(CEPSTRA))),
    ("postfilter", lambda module, as_given: module.postfilter(as_given(CEPSTRA), 0.42, 1.4, 64)),
    ("fir", lambda module, as_given: module.fir(as_given(PCM), np.array([0.5, 0.25]), as_given(PCM[:1]))),
    ("biquad", lambda module, as_given: module.biquad(as_given(PCM), SECTION, np.zeros((2, 1)))),
    ("continuous_f0", lambda module, as_given: np.stack(module.continuous_f0(as_given(PCM), 100.0))),
    ("mlpg", lambda module, as_given: module.mlpg(as_given(CEPSTRA[:, :6]), as_given(SPREAD), WINDOWS)),
    ("delta", lambda module, as_given: module.delta(as_given(CEPSTRA), WINDOWS)),
    ("segment_statistics", lambda module, as_given: np.stack(module.segment_statistics(as_given(CEPSTRA), 1e-4))),
    ("bark_cepstrum", lambda module, as_given: module.bark_cepstrum(as_given(FRAMES))),
    ("bark_cepstrum_to_lpc", lambda module, as_given: module.bark_cepstrum_to_lpc(as_given(CEPSTRA))),
    ("lpcnet_pitch", lambda module, as_given: np.stack(module.lpcnet_pitch(as_given(PCM), as_given(CEPSTRA[:75])))),
    ("lpc", lambda module, as_given: module.lpc(as_given(FRAMES), 12)),
    ("lpc_to_parcor", lambda module, as_given: module.lpc_to_parcor(as_given(FLAT))),
    ("parcor_to_lpc", lambda module, as_given: module.parcor_to_lpc(as_given(CEPSTRA))),
    ("lpc_to_lsf", lambda module, as_given: module.lpc_to_lsf(as_given(FLAT))),
    ("lsf_to_lpc", lambda module, as_given: module.lsf_to_lpc(as_given(RISING))),
]
HERE = [pytest.param(name, call, id=name) for name, call in CALLS if name in NODES]


def strided(array: Array) -> Array:
    """Return an array of the same values, whose last axis has its elements in memory apart and in reverse order."""
    spread = np.repeat(array[..., ::-1], 3, axis=-1)
    return spread[..., ::-1][..., ::3]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call"), HERE)
def test_integers_never_come_out_as_integers(name: str, call: Callable[[Any, Any], Array]) -> None:
    found = call(maths(name), lambda array: array)  # pysptk gives int16 back: its mel-cepstra lose all but their sign
    expected = call(maths(name), lambda array: array.astype(np.float64))
    assert found.dtype.kind == "f"
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())  # float32: 6e-8, summed
    assert np.isfinite(found).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call"), HERE)
def test_strided_arrays_give_what_contiguous_ones_give(name: str, call: Callable[[Any, Any], Array]) -> None:
    expected = call(maths(name), lambda array: array.astype(np.float64))
    assert_array_equal(call(maths(name), lambda array: strided(array.astype(np.float64))), expected)
    assert_array_equal(call(maths(name), lambda array: np.asfortranarray(array.astype(np.float64))), expected)


@pytest.mark.parametrize(("name", "call"), HERE)
def test_what_came_before_changes_nothing(name: str, call: Callable[[Any, Any], Array]) -> None:
    def run(loud: float) -> Array:
        return call(maths(name), lambda array: array * loud)

    first = run(1.0)
    run(0.5)
    assert_array_equal(run(1.0), first)


@pytest.mark.parametrize(("name", "call"), HERE)
def test_threads_do_not_disturb_each_other(name: str, call: Callable[[Any, Any], Array]) -> None:
    def run(loud: float) -> Array:
        return call(maths(name), lambda array: array * loud)

    expected = {loud: run(loud) for loud in (1.0, 0.5)}
    with ThreadPoolExecutor(4) as pool:
        for loud, found in zip([1.0, 0.5] * 8, pool.map(run, [1.0, 0.5] * 8), strict=True):
            assert_array_equal(found, expected[loud])


def graph(name: str, inputs: dict[str, Stream], **parameters: Any) -> Graph:
    return Graph(
        {"node": registry.find(name)(**parameters)}, {f"node.{key}": key for key in inputs}, inputs, {"out": "node"}
    )


@pytest.mark.parametrize("name", [name for name in ("mcep", "lpc") if name in NODES])
def test_an_order_beyond_the_frame_never_reaches_a_kernel(name: str) -> None:
    # pysptk's mcep writes past its buffers and takes the process with it.
    with pytest.raises(
        ParameterError, match=rf"{name}\.order is 30; frames of 20 samples .* lower the order or lengthen"
    ):
        graph(name, {"frames": Frames(100, "wave", 20)}, order=30)


@pytest.mark.parametrize("name", [name for name in ("mcep", "lpc") if name in NODES])
def test_silent_frames_are_defined_and_frames_of_nan_are_named(name: str) -> None:
    node = graph(name, {"frames": Frames(100, "wave", 256)}, order=12)
    rows = node(frames=np.zeros((5, 256)))["out"]
    assert np.isfinite(rows).all()
    assert not rows[:, 1:].round(12).any()  # a flat spectrum
    frames = np.ones((5, 256))
    frames[3, 100] = np.nan
    with pytest.raises(SignalError, match=r"frames takes finite numbers; item 3"):
        node(frames=frames)


@pytest.mark.parametrize("name", [name for name in ("mlsa", "allpole") if name in NODES])
def test_the_last_partial_frame_is_rendered(name: str) -> None:
    # pysptk's Synthesizer leaves it out. Constant coefficients: the whole signal is one fixed filter's.
    port = {"mlsa": "mcep", "allpole": "lpc"}[name]
    rows = np.tile(np.array([[np.log(0.5), 0.0]]) if name == "mlsa" else np.array([[0.5, 0.0]]), (13, 1))
    x = speech(1000)
    found = graph(name, {"x": Audio(16000), port: Frames(200, port, 2)})(**{"x": x, port: rows})["out"]
    assert len(found) == 1000
    assert_allclose(found, 0.5 * x, rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in ("allpole",) if name in NODES])
def test_the_all_pole_filter_keeps_past_outputs_and_not_partial_sums(name: str) -> None:
    # The transposed form keeps sums made with the old coefficients, and steps when they change.
    x, rows = np.random.default_rng(2).standard_normal(4800), predictors(16, 80, 4800)
    found = graph(name, {"x": Audio(16000), "lpc": Frames(200, "lpc", 17)})(x=x, lpc=rows)["out"]
    expected = np.zeros(16 + 4800)
    for n in range(4800):
        gain, *a = rows[n // 80]
        expected[16 + n] = gain * x[n] - np.dot(a, expected[n : 16 + n][::-1])
    assert_allclose(found, expected[16:], rtol=0, atol=1e-12)
    constant = np.tile(rows[30], (60, 1))
    found = graph(name, {"x": Audio(16000), "lpc": Frames(200, "lpc", 17)})(x=x, lpc=constant)["out"]
    assert_allclose(found, lfilter(rows[30, :1], [1, *rows[30, 1:]], x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ("pulse_noise",) if name in NODES])
def test_noise_comes_from_the_state_and_not_from_one_generator_for_all(name: str) -> None:
    f0 = np.zeros((20, 1))
    node = graph(name, {"f0": Frames(100, "f0", 1)})
    first = node(f0=f0)["out"]
    graph(name, {"f0": Frames(100, "f0", 1)}, seed=5)(f0=f0)
    assert_array_equal(node(f0=f0)["out"], first)


def test_a_graph_takes_no_integers_for_audio() -> None:
    name = next(one for one in ("biquad", "fir", "mlsa", "allpole") if one in NODES)
    required: dict[str, dict[str, Any]] = {"biquad": {"kind": "lowpass", "frequency": 100}, "fir": {"taps": (1.0,)}}
    inputs: dict[str, Stream] = {port.name: Frames(200, port.name, 2) for port in registry.find(name).inputs[1:]}
    node = graph(name, {"x": Audio(16000), **inputs}, **required.get(name, {}))
    with pytest.raises(SignalError, match="an array of float64; found int16: convert it first"):
        node(x=PCM[:800], **{key: np.zeros((10, 2)) for key in inputs})
