"""The places of crops: all frames of a recording are used, and crops move from epoch to epoch."""

from hashlib import sha256

import pytest

from dspgraph_nodes.models.shared.data import Crops


@pytest.mark.parametrize("count", [12, 40, 41, 47, 79])
def test_crops_that_overlap_move_in_every_epoch_and_reach_both_ends(count: int) -> None:
    """The crops move even if no frames are left over, and lie within the recording.

    Each end is reached, and each frame is used, in more than a fifth of the epochs.
    """
    frames = 8
    crops = Crops([count], frames, 0, seed=1, beyond=frames // 2)
    first = [[crops.at(epoch, place)[1] for place in range(len(crops))] for epoch in range(200)]
    assert all(0 <= one <= count - frames for each in first for one in each)
    assert sum(each[0] == 0 for each in first) > 40
    assert sum(each[-1] == count - frames for each in first) > 40
    assert len({each[-1] for each in first}) > 4
    seen = [0] * count
    for each in first:
        for frame in {frame for one in each for frame in range(one, one + frames)}:
            seen[frame] += 1
    assert min(seen) > 40


def test_the_crops_of_validation_begin_with_the_recording() -> None:
    crops = Crops([17, 16], 8, 0, seed=1, beyond=4)
    assert [crops.at(-1, place) for place in range(len(crops))] == [(0, 0), (0, 8), (1, 0), (1, 8)]


def test_crops_that_do_not_overlap_are_the_recorded_ones() -> None:
    """LPCNet's crops do not overlap. Their digest was recorded before crops could overlap, and must not change."""
    crops = Crops([49, 60, 101], 15, 2, seed=3)
    places = [crops.at(epoch, place) for epoch in range(-1, 20) for place in range(len(crops))]
    assert sha256(repr(places).encode()).hexdigest()[:16] == "aa0f9b02db61186b"
