"""WaveRNN, trained on one recording of speech, makes a copy that is nearer to it than Griffin-Lim's."""

from pathlib import Path

import pytest

from helpers.copy_synthesis import distances, trained
from helpers.speech import speech

BOTH = [
    "units=256", "dense=256", "bits=8", "gain=3", "preemphasis=0.95", "optimizer=muon", "clip=1", "augment=0",
    "batch=32", "frames=2", "precision=bf16", "threads=1", "device=cpu",
]  # fmt: skip
FIRST = [
    "upsampling_start=random", "read_noise=32", "muon_rate=0.03", "learning_rate=0.004", "decay=0.001", "ema=0.98",
    "steps=500", "validate_every=500",
]  # fmt: skip
SECOND = [
    "read_noise=10", "muon_rate=0.012", "learning_rate=0.002", "decay=0.004", "ema=0.99", "steps=450",
    "validate_every=450",
]  # fmt: skip
"""Settings of both commands for training in docs/wavernn.md, then those of the first and of the second one only.

`device` and `validate_every` are added here.
"""


@pytest.mark.slow
def test_a_recording_is_copied_better_than_by_griffin_lim(tmp_path: Path) -> None:
    x = speech()
    first, _ = trained("wavernn", x, tmp_path / "first", [*BOTH, *FIRST])
    weights, loss = trained("wavernn", x, tmp_path / "second", [*BOTH, *SECOND], "--init", str(first))
    found, griffin_lim = distances("wavernn", x, weights, 0.15)
    print(f"{loss:.3f} nats; distances in dB: WaveRNN {found:.2f}, Griffin-Lim {griffin_lim:.2f}")
    assert loss < 1.6  # measured 0.95 nats per sample; 256 levels of equal probability have 5.55
    assert found < griffin_lim  # measured 5.40 < 7.05, after about 19 CPU minutes
