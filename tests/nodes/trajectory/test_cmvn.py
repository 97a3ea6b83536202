import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.trajectory.cmvn import Cmvn, cmvn

RNG = np.random.default_rng(62)
STREAM = Frames(100, "mfcc", 3, "1/200")
ROWS = 5 + 3 * RNG.standard_normal((120, 3))
EXAMPLES = [
    Example(Cmvn(window=30), x=(STREAM, ROWS)),
    Example(Cmvn(window=17, centred=False, variance=False), x=(STREAM, ROWS)),
    Example(Cmvn(window=None), x=(STREAM, ROWS)),
]


@pytest.mark.parametrize("window", [1, 2, 30, 500])
@pytest.mark.parametrize("centred", [True, False])
def test_every_row_is_normalised_by_numpys_mean_and_deviation_of_its_window(window: int, centred: bool) -> None:
    back = window // 2 if centred else window - 1
    windows = [ROWS[max(0, n - back) : n - back + window] for n in range(len(ROWS))]
    centre = np.array([row - one.mean(0) for row, one in zip(ROWS, windows, strict=True)])
    deviation = np.sqrt(np.maximum([one.var(0) for one in windows], 1e-10))
    node = Cmvn(window=window, centred=centred)
    assert_allclose(Example(node, x=(STREAM, ROWS)).render()["y"], centre / deviation, rtol=0, atol=1e-9)
    assert_allclose(cmvn(ROWS, back, window - 1 - back, variance=False), centre, rtol=0, atol=1e-13)


def test_the_whole_signal_gets_mean_0_and_variance_1() -> None:
    found = EXAMPLES[2].render()["y"]
    assert_allclose(found, (ROWS - ROWS.mean(0)) / ROWS.std(0), rtol=0, atol=1e-13)
    plain = Example(Cmvn(window=None, variance=False), x=(STREAM, ROWS)).render()["y"]
    assert_allclose(plain, ROWS - ROWS.mean(0), rtol=0, atol=1e-13)


def test_complex_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match="cmvn takes real rows"):
        Cmvn().streams(STREAM.like(dtype="complex64"))
