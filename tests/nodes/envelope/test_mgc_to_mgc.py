import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import sptk
from dspgraph_nodes.envelope.mgc_to_mgc import MgcToMgc, mgc_to_mgc

ROWS = np.random.default_rng(92).standard_normal((80, 25)) / np.arange(2, 27) ** 1.5
STREAM = Frames(100, "mgc", 25, "1/200")
EXAMPLES = [
    Example(MgcToMgc(alpha=0, gamma=-0.25, order=30), mgc=(STREAM, ROWS)),
    Example(MgcToMgc(to_gamma=-0.5, order=12), mgc=(STREAM.like(kind="mcep"), ROWS)),
]


@pytest.mark.parametrize(("alpha", "to_alpha"), [(0.0, 0.42), (0.35, 0.35), (0.42, 0.0)])
@pytest.mark.parametrize(("gamma", "to_gamma"), [(0.0, -0.25), (-0.25, 0.0), (-0.5, -0.25), (0.0, 0.0)])
@pytest.mark.parametrize("order", [5, 24, 40])
def test_it_is_sptks(alpha: float, to_alpha: float, gamma: float, to_gamma: float, order: int) -> None:
    found = Example(
        MgcToMgc(order=order, alpha=alpha, to_alpha=to_alpha, gamma=gamma, to_gamma=to_gamma), mgc=(STREAM, ROWS)
    ).render()["converted"]
    expected = [sptk.mgc2mgc(row, alpha, gamma, order, to_alpha, to_gamma) for row in ROWS]
    assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_the_kind_says_the_power() -> None:
    assert MgcToMgc(to_gamma=-0.5).streams(STREAM)[0].kind == "mgc"
    assert MgcToMgc(order=3).streams(STREAM) == (STREAM.like(kind="mcep", width=4),)


def test_powers_and_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="rows of the kind 'mcep' have the power 0: leave it out"):
        MgcToMgc(gamma=-0.5).streams(STREAM.like(kind="mcep"))
    rows = ROWS.copy()
    rows[3, 0] = 5
    with pytest.raises(NodeError, match=r"1 \+ gamma \* c\[0\] must be above 0; row 3 has c\[0\] = 5 and gamma = -0.5"):
        Example(MgcToMgc(alpha=0, to_alpha=0, gamma=-0.5), mgc=(STREAM, rows)).render()
    assert mgc_to_mgc(ROWS.astype(np.float32), 3, 0.1, 0, 0).dtype == np.float32
