"""WaveNet, trained on half a second of speech, makes a copy that is nearer to it than Griffin-Lim's."""

from pathlib import Path

import pytest

from helpers.copy_synthesis import distances, trained
from helpers.speech import speech

SETTINGS = [
    "kind=categorical", "gain=3", "preemphasis=0.9", "layers=12", "stacks=2", "context=4", "upsampling_start=random",
    "read_noise=24", "optimizer=muon", "learning_rate=0.004", "decay=0.008", "ema=0.98", "augment=0", "batch=4",
    "frames=16", "steps=280", "validate_every=280", "threads=1", "device=cpu",
]  # fmt: skip
"""Settings of the command in docs/wavenet.md."""


@pytest.mark.slow
def test_half_a_second_is_copied_better_than_by_griffin_lim(tmp_path: Path) -> None:
    x = speech()[16000:24000]
    weights, loss = trained("wavenet", x, tmp_path, SETTINGS)
    found, griffin_lim = distances("wavenet", x, weights, 0.2)
    print(f"{loss:.3f} nats; distances in dB: WaveNet {found:.2f}, Griffin-Lim {griffin_lim:.2f}")
    assert loss < 1.5  # measured 1.09 nats per sample; 256 levels of equal probability have 5.55
    assert found < griffin_lim  # measured 7.22 < 7.57, after about 4 CPU minutes
