"""WaveNet, trained on one recording of speech, makes a copy that is nearer to it than Griffin-Lim's."""

from pathlib import Path

import pytest

from helpers.copy_synthesis import distances, trained
from helpers.speech import speech

SETTINGS = [
    "kind=categorical", "gain=3", "preemphasis=0.95", "residual=96", "gate=192", "skip=96", "layers=12", "stacks=2",
    "context=4", "upsampling_start=random", "read_noise=32", "optimizer=muon", "muon_rate=0.03", "learning_rate=0.004",
    "decay=0.001", "ema=0.98", "augment=0", "batch=4", "frames=16", "steps=550", "validate_every=550",
    "precision=bf16", "threads=1", "device=cpu",
]  # fmt: skip
"""Settings of the command in docs/wavenet.md."""


@pytest.mark.slow
def test_a_recording_is_copied_better_than_by_griffin_lim(tmp_path: Path) -> None:
    x = speech()
    weights, loss = trained("wavenet", x, tmp_path, SETTINGS)
    found, griffin_lim = distances("wavenet", x, weights, 0.3)
    print(f"{loss:.3f} nats; distances in dB: WaveNet {found:.2f}, Griffin-Lim {griffin_lim:.2f}")
    assert loss < 1.5  # measured 0.90 nats per sample; 256 levels of equal probability have 5.55
    assert found < griffin_lim  # measured 5.77 < 7.05, after about 12 CPU minutes
