"""GANSynth passes the checks of models that apply to it: it draws no samples, and reads none that it has made."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dspgraph import Array, load
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph_nodes._kernels.neural.gansynth_generator import generate, pack
from dspgraph_nodes.models.gansynth.network import Generator
from dspgraph_nodes.models.gansynth.training import PIPELINE, Settings, train
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared.modules import load as load_network
from dspgraph_nodes.models.shared.notes import made_note
from helpers.gansynth import SMALL, notes, random_weights

pytestmark = pytest.mark.training

CONFIG = SMALL["wide"].replace(lowest=0)
Notes = Mapping[str, Array]


def features(count: int, seed: int) -> Notes:
    """Return random latent vectors and pitches of `count` notes of CONFIG: "latent" and "pitch", one row a note."""
    return {name: array for name, (_, array) in notes(CONFIG, count, seed).items()}


def made(
    path: Path, signals: Sequence[Notes], seeds: Sequence[int], cut: int | None, tap: bool
) -> list[tuple[Array, Array | None]]:
    """Return for each signal the rows of its notes, [notes * rows, 2 * bins], magnitudes before angles, by the kernel.

    The network draws nothing, so these rows are also its "distributions": each pair has them again if `tap`, else None.
    path: the file of weights; signals: the latent vectors and pitches. `seeds` and `cut` have no effect.
    """
    network = pack(WEIGHTS.read(path)[1])
    found = []
    for one in signals:
        pictures = [generate(network, row, int(pitch)) for row, pitch in zip(one["latent"], one["pitch"], strict=True)]
        rows = np.concatenate([picture.swapaxes(0, 1).reshape(CONFIG.rows, -1) for picture in pictures])
        found.append((rows, rows if tap else None))
    return found


def forward(path: Path, given: Notes, samples: Array) -> Array:
    """Return the rows of the notes of one signal, [notes * rows, 2 * bins], by the network in torch.

    path: the file of weights; given: the latent vectors and pitches; samples: only its length is used, the number of
    rows.
    """
    with torch.no_grad():
        network = load_network(WEIGHTS, Generator, path)
        pictures = network(torch.from_numpy(given["latent"]).float(), torch.from_numpy(given["pitch"])).numpy()
    rows: Array = pictures.swapaxes(1, 2).reshape(len(samples), -1)
    return rows


def trained(out: Path, steps: int, resume: bool) -> Path:
    """Train a small generator by regression on ten made notes; return the path of the weights.

    out: the folder of the run; steps: the number of batches, with those before a resume; resume: whether to continue
    the run that is there.
    """
    settings = Settings(
        preset="gansynth-tiny", kind="regression", blocks=2, channels=32, most_channels=8, batch=4, steps=steps,
        validate_every=1000, learning_rate=2e-2, ema=0.5, threads=1, device="cpu",
    )  # fmt: skip
    graph = load(PIPELINE, settings.overrides)
    given = {str(k): made_note(0, k, 4000, 60, 83) for k in range(10)}
    labels = {name: {"pitch": str(note.pitch), "timbre": note.timbre} for name, note in given.items()}
    samples = {name: note.samples for name, note in given.items()}
    return train(samples, lambda x: graph(speech=x), out, settings, resume, labels=labels)


EXAMPLE = ModelExample(
    "gansynth",
    write=lambda path, seed: WEIGHTS.write(path, CONFIG, random_weights(CONFIG, seed)),
    read=lambda path: WEIGHTS.read(path)[1],
    features=features,
    forward=forward,
    generate=made,
    cumulative=None,
    train=trained,
    deterministic=True,
    unseen=frozenset({"rate", "lowest"}),
)

INAPPLICABLE = {
    "no_future": "samples are not fed back",
    "draws_follow_the_distribution": "nothing is drawn",
    "draws_independent": "nothing is drawn",
}


NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name == "resume_exact" else name  # test_training has a shorter test
    for name in MODEL_CHECKS
    if name not in INAPPLICABLE
]


@pytest.mark.parametrize("name", NAMES)
def test_gansynth_passes(name: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](EXAMPLE, tmp_path)
