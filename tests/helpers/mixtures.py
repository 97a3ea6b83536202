"""Files of mixtures of logistics, and their alignments, for the tests of the study of distributions.

Every phone has a known scale, so that the results of a study are known.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from dspgraph import Array, Frames
from dspgraph.io.arrays import ArraySink

RATE, COMPONENTS = 16000, 10
STREAM = Frames(RATE, "logistic_mixture", 3 * COMPONENTS)


def spoken(names: list[str], n: int, seed: int = 0) -> list[tuple[int, int, str]]:
    """Return 40 phones (start, end, name), in samples, of random lengths, which together fill n samples.

    names: the names of the phones, which are used in turn; n: at least 239.
    """
    draw = np.random.default_rng(seed)
    edges = [0, *sorted(draw.choice(np.arange(100, n - 100), 39, replace=False).tolist()), n]
    return [(a, b, names[k % len(names)]) for k, (a, b) in enumerate(pairwise(edges))]


def mixtures(
    phones: list[tuple[int, int, str]], scales: Mapping[str, float], spread: float = 0.0, seed: int = 0
) -> Array:
    """Return parameters of mixtures, rows [n, 3 * COMPONENTS]: random logits, random means, log-scales.

    The log-scales of a phone are normally distributed around the logarithm of its scale. phones: (start, end, name) in
    samples, which fill n samples without gaps; scales: name of a phone -> its scale; spread: the standard deviation of
    log-scales.
    """
    draw, n = np.random.default_rng(seed), phones[-1][1]
    log_scales = np.concatenate([np.full(b - a, math.log(scales[name])) for a, b, name in phones])
    shape = (n, COMPONENTS)
    parts = (draw.standard_normal(shape), draw.uniform(-0.3, 0.3, shape), log_scales[:, None] + spread * draw.standard_normal(shape))  # fmt: skip
    return np.concatenate(parts, axis=1)


def write_mixture(path: Path, rows: Array, stream: Frames = STREAM, name: str = "distribution") -> Path:
    with ArraySink(path, {name: stream}) as sink:
        sink.write(name, rows)
    return path


def write_labels(path: Path, phones: list[tuple[int, int, str]], late: int = 0) -> Path:
    """Write a label file with the phones (start, end, name), times in seconds, and return its path.

    phones: start and end in samples; late: samples that are added to every time.
    """
    path.write_text("".join(f"{(a + late) / RATE:.7f} {(b + late) / RATE:.7f} {name}\n" for a, b, name in phones))
    return path
