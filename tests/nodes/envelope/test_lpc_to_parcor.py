import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio, Frames, Graph, NodeError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.levinson import autocorrelation, levinson
from dspgraph_nodes._kernels.signal.parcor import step_down, step_up
from dspgraph_nodes._kernels.signal.windows import Window, window_values
from dspgraph_nodes.envelope.lpc_to_parcor import LpcToParcor, lpc_to_parcor
from helpers.prediction import predictors

STREAM = Frames(100, "lpc", 17)

EXAMPLES = [
    Example(LpcToParcor(), lpc=(STREAM, predictors(16, 160, 16000))),
    Example(LpcToParcor(), lpc=(STREAM.like(width=2), predictors(1, 160, 16000))),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize("order", [1, 2, 10, 17, 32])
def test_it_is_pysptks_on_every_frame_of_speech(order: int) -> None:
    import pysptk

    rows = predictors(order, 160)
    expected = np.array([pysptk.lpc2par(row) for row in rows])
    assert_allclose(lpc_to_parcor(rows), expected, rtol=0, atol=1e-11)  # measured 1e-12: k near 1 loses digits


@pytest.mark.parametrize("order", range(10, 33))
def test_step_up_gives_every_frame_of_speech_back(order: int) -> None:
    rows = predictors(order, 160)
    assert_allclose(step_up(lpc_to_parcor(rows)), rows, rtol=0, atol=1e-12)  # promised 1e-6; measured 1e-14


def test_a_predictor_of_second_order_has_the_reflections_of_the_textbook() -> None:
    # a1 = k1 (1 + k2), a2 = k2
    assert_allclose(lpc_to_parcor(np.array([[3.0, -0.75, 0.5]])), [[3.0, -0.5, 0.5]], rtol=1e-15)


def test_silence_has_no_reflections() -> None:
    assert_array_equal(lpc_to_parcor(np.zeros((1, 17))), np.zeros((1, 17)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tone_has_a_reflection_just_below_1(dtype: type) -> None:
    # 1 - 2 cos(w) / z + 1 / z**2 is on the edge: its poles are drawn inwards by eps. k1 = -2 cos(w) / (1 + 1)
    w = np.linspace(0.1, 3.0, 30)
    rows = lpc_to_parcor(np.c_[np.ones(30), -2 * np.cos(w), np.ones(30)].astype(dtype))
    assert (rows[:, 2] == 1 - 2 * np.finfo(dtype).eps).all()
    assert_allclose(rows[:, 1], -np.cos(w), rtol=0, atol=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("shape", ["hann", "blackman"])
@pytest.mark.parametrize("order", [10, 16, 32])
def test_a_predictor_that_rounding_has_made_unstable_is_drawn_inwards(order: int, shape: Window) -> None:
    # Of a slow tone, in float32: reflections of up to 1.06 and far beyond; clipped they would be another predictor's.
    x = (0.5 * np.sin(0.1 * np.arange(16000))).astype(np.float32)
    given = levinson(
        autocorrelation(Framing(512, 160, -176).whole(x) * window_values(shape, "none", 512, x.dtype), order), 0.0
    )
    given = given.astype(np.float32)
    found = step_down(given)
    assert (np.abs(found[:, 1:]) < 1).all()
    a, drawn = given[:, 1:].astype(np.float64), step_up(found)[:, 1:]
    gamma = drawn[:, 0] / a[:, 0]
    assert (1 - gamma).min() > -1e-9
    assert 1e-7 < (1 - gamma).max() < 0.0702  # 2**-23 to the power of 1 / 6; one row of 600 takes all of it
    expected = a * gamma[:, None] ** np.arange(1, order + 1)
    assert_allclose(drawn, expected, rtol=0, atol=1e-9 * np.abs(a).max())  # down and up again


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("roots", [(1.5, 1 / 1.5), (1.1, 0.5, 0.2), (1.01, -0.3), (1.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9)])
def test_a_predictor_that_is_unstable_without_any_rounding_is_refused(roots: tuple[float, ...], dtype: type) -> None:
    with pytest.raises(ValueError, match="no stable predictor: .* give a stable one, as 'lpc' makes it"):
        lpc_to_parcor(np.array([[1.0, *np.poly(roots)[1:]]], dtype))


@pytest.mark.parametrize("a", [1.5, -1.01, np.nan])
def test_an_unstable_predictor_is_named(a: float) -> None:
    rows = predictors(2, 160, 1600)
    rows[7, 2] = a
    with pytest.raises(ValueError, match="row 7 is no stable predictor: its reflection coefficient 2 is"):
        lpc_to_parcor(rows)


def test_an_unstable_frame_is_counted_from_the_start_of_the_signal() -> None:
    rows = np.zeros((100, 3))
    rows[77, 1] = 3.0
    graph = Graph({"node": LpcToParcor()}, {"node.lpc": "lpc"}, {"lpc": STREAM.like(width=3)}, {"parcor": "node"})
    session = graph.session()
    session.push(lpc=rows[:60])
    with pytest.raises(NodeError, match="row 77 is no stable predictor"):
        session.push(lpc=rows[60:])


def test_rate_and_centre_are_kept() -> None:
    stream = Frames(Audio(16000).rate / 160, "lpc", 17, "1/200", np.float32)
    assert LpcToParcor().streams(stream) == (stream.like(kind="parcor"),)
