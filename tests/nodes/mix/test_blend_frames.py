"""Frames between two streams: the ends, the middle, and the pipeline that decodes them."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError, load
from dspgraph.notes.play import slerp
from dspgraph.testing import Example, check_graph
from dspgraph_nodes.mix.blend_frames import BlendFrames, blend_frames
from helpers.networks import overrides
from helpers.speech import speech


def rows(count: int = 200, seed: int = 0, width: int = 3) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal((count, width))


STREAM = Frames(100, "wavenet_encoding", 3)
EXAMPLES = [
    Example(BlendFrames(amount=0.3), a=(STREAM, rows()), b=(STREAM, rows(seed=1))),
    Example(BlendFrames(amount=0.3, path="sphere"), a=(STREAM, rows()), b=(STREAM, rows(seed=1))),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_are_the_frames_themselves_and_the_middle_their_mean(dtype: Any) -> None:
    a, b = rows().astype(dtype), rows(seed=1).astype(dtype)
    assert_array_equal(blend_frames(a, b, 0), a)
    assert_array_equal(blend_frames(a, b, 1), b)
    assert_allclose(blend_frames(a, b, 0.5), (a + b) / 2, rtol=0, atol=1e-6)
    assert_allclose(blend_frames(a, b, 2), 2 * b - a, rtol=0, atol=1e-5)
    assert blend_frames(a, b, 0.3).dtype == dtype


@pytest.mark.parametrize("amount", [0, 0.3, 0.5, 1])
def test_on_the_sphere_the_angle_is_shared_and_the_length_of_unit_vectors_stays(amount: float) -> None:
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows(), rows(seed=1)))
    y = blend_frames(a, b, amount, "sphere")
    assert_allclose(np.linalg.norm(y, axis=1), 1, rtol=1e-9)
    w = np.arccos((a * b).sum(1))
    assert_allclose(np.arccos(np.clip((y * a).sum(1), -1, 1)), amount * w, rtol=0, atol=1e-7)
    assert_allclose(np.arccos(np.clip((y * b).sum(1), -1, 1)), (1 - amount) * w, rtol=0, atol=1e-7)


def test_on_the_sphere_vectors_are_blended_as_the_player_of_notes_does_it() -> None:
    a, b = rows(50, width=4), 3 * rows(50, seed=1, width=4)
    b[1], b[2], b[3] = 2 * a[1], -a[2], 0
    expected = [slerp(one, two, 0.3) for one, two in zip(a, b, strict=True)]
    assert_allclose(blend_frames(a, b, 0.3, "sphere"), expected, rtol=0, atol=1e-12)
    assert_allclose(expected[2], 0.4 * a[2], rtol=1e-12)  # opposite vectors: on the line
    single = blend_frames(a.astype(np.float32), b.astype(np.float32), 0.3, "sphere")
    assert single.dtype == np.float32
    assert_allclose(single, expected, rtol=0, atol=1e-5)


def test_streams_that_differ_are_refused() -> None:
    for other in (STREAM.like(width=4), STREAM.like(rate=50), STREAM.like(kind="mel")):
        with pytest.raises(ParameterError, match="takes two streams of one rate, kind, width and dtype; found"):
            BlendFrames().streams(STREAM, other)
    complex_rows = Frames(100, "spectrum", 4, dtype=np.complex128)
    assert BlendFrames().streams(complex_rows, complex_rows) == (complex_rows,)
    with pytest.raises(ParameterError, match="along a sphere of real numbers only; found .*: set path to line"):
        BlendFrames(path="sphere").streams(complex_rows, complex_rows)


def test_the_pipeline_decodes_the_encodings_in_between() -> None:
    signals = {"first": speech(4000), "second": speech()[9000:13000]}
    sounds = [
        load("wavenet_blend", [*overrides("wavenet_blend"), f"amount={w}"])(**signals)["sound"] for w in (0, 1, 0.5)
    ]
    alone = [load("wavenet_autoencoder", overrides("wavenet_autoencoder"))(speech=one) for one in signals.values()]
    assert [len(one) for one in sounds] == [len(one["speech"]) for one in (*alone, alone[0])]
    encoders = load("wavenet_blend", overrides("wavenet_blend")).expose_all()(**signals)
    mean = (encoders["first_encoding.z"] + encoders["second_encoding.z"]) / 2
    assert_allclose(encoders["between.y"], mean, rtol=0, atol=1e-12)
    assert not np.array_equal(sounds[0], sounds[2]) and not np.array_equal(sounds[1], sounds[2])


def test_no_cut_changes_the_pipeline() -> None:
    signals = {"first": speech()[8000:11177], "second": speech()[9000:12177]}
    check_graph(load("wavenet_blend", overrides("wavenet_blend")), signals)
