"""Pictures of sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile


def spectrograms(files: Mapping[str, Path], target: Path) -> Path:
    """One PNG with the spectrograms of files side by side, one scale for all: 32 ms Hann windows, 80 dB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.1 * len(files), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(files), sharey=True, squeeze=False)[0]
    image = None
    for axis, (name, path) in zip(axes, files.items(), strict=True):
        samples, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
        length = 2 * round(rate * 0.016)
        samples = samples.mean(axis=1) + 1e-7 * np.cos(np.pi * np.arange(len(samples)))  # no log of zero in silence
        *_, image = axis.specgram(samples, length, rate, noverlap=length * 3 // 4, vmin=-130, vmax=-50, cmap="magma")
        axis.set(title=name, xlabel="s")
    axes[0].set_ylabel("Hz")
    if image is not None:
        figure.colorbar(image, ax=axes, label="dB")
    temporary = target.with_name(f".{target.name}.part")
    figure.savefig(temporary, format="png", dpi=110)
    return temporary.replace(target)
