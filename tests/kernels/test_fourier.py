import numpy as np
import pytest

from dspgraph_nodes._kernels.signal.fourier import upsample


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 801, 1000])
def test_the_samples_of_the_signal_are_among_those_at_a_multiple_of_its_rate(n: int, times: int) -> None:
    # Up to half the rate: (-1)**n must not count twice.
    x = np.random.default_rng(1).standard_normal(n) + (-1.0) ** np.arange(n)
    assert np.abs(upsample(x, times)[::times] - x).max() < 1e-14
    assert len(upsample(x, times)) == times * n
