import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.delay import Delay, delay
from helpers.speech import speech

EXAMPLES = [
    Example(Delay(samples=200), x=(Audio(16000), speech(3333))),
    Example(Delay(samples=0), x=(Audio(16000), speech(3333))),
    Example(Delay(samples=4000), x=(Audio(16000, channels=2), speech(6666).reshape(-1, 2))),  # longer than the signal
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_zeros_come_first_and_the_length_stays(example: Example) -> None:
    node, x = example.node, example.arrays["x"]
    assert isinstance(node, Delay)
    expected = np.concatenate((np.zeros((node.samples, *x.shape[1:])), x))[: len(x)]
    assert_array_equal(example.render()["y"], expected)


def test_the_function_delays_a_whole_signal() -> None:
    assert delay(np.array([3.0, 4.0, 5.0]), 2).tolist() == [0, 0, 3]
    assert delay(np.array([3.0, 4.0, 5.0]), 4).tolist() == [0, 0, 0]
    assert delay(np.array([3.0, 4.0, 5.0]), 0).tolist() == [3, 4, 5]


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"delay\.samples is -1; it must be a whole number, at least 0"):
        Delay(samples=-1)
