import numpy as np
from numpy.testing import assert_array_equal

from dspgraph import Audio
from dspgraph.testing import Example
from dspgraph_nodes.mix.pad import Pad
from helpers.speech import speech
from helpers.step_memory import most_bytes_of_a_step

STEREO = np.stack((speech(3001), -0.5 * speech(3101)[100:]), axis=1)
EXAMPLES = [
    Example(Pad(before=0.01, after=0.1), x=(Audio(16000), speech(2000))),
    Example(Pad(after=0.003), x=(Audio(44100, channels=2), STEREO)),
    Example(Pad(), x=(Audio(16000), speech(2000))),
]


def test_it_is_numpys_padding() -> None:
    assert_array_equal(EXAMPLES[0].render()["y"], np.pad(speech(2000), (160, 1600)))
    assert_array_equal(EXAMPLES[1].render()["y"], np.pad(STEREO, ((0, 132), (0, 0))))
    assert_array_equal(EXAMPLES[2].render()["y"], speech(2000))


def test_a_long_delay_is_not_copied_for_every_block() -> None:
    most = most_bytes_of_a_step(Pad(before=60), Audio(16000), speech(160))
    assert most < 2**16  # arrays of one block take 1280 bytes, the delay line 7.7 MB
