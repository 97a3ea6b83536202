"""Figures of the distribution that a model predicts for every sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dspgraph.plotting.canvas import label, new_figure
from dspgraph.streams import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 1600
"""The largest number of columns in the picture of a distribution."""


def distribution(probabilities: Array, levels: Array, rate: float, title: str) -> Figure:
    """Draw the distribution that a model predicts for every sample, with dots at the true levels.

    A level is one of the values from 0 to size - 1 that a sample can have. probabilities: [n, size], floats; each row
    sums to 1, and n is 1 or more. levels: [n], the true level of every sample. rate: samples per second. A column of
    the picture shows one sample, or the mean of several if there are more than COLUMNS samples. A second plot below
    shows the entropy of the distribution and the cross-entropy -ln p(true level), in nats.
    """
    tiny = np.finfo(probabilities.dtype).tiny
    entropy = -(probabilities * np.log(np.maximum(probabilities, tiny))).sum(axis=1)
    cost = -np.log(np.maximum(np.take_along_axis(probabilities, levels[:, None].astype(np.int64), 1)[:, 0], tiny))
    first = np.unique(np.linspace(0, len(levels), min(len(levels), COLUMNS), endpoint=False).astype(int))
    counts = np.diff(np.append(first, len(levels)))

    def column_means(values: Array) -> Array:
        means: Array = (np.add.reduceat(values, first, dtype=np.float64).T / counts).T
        return means

    figure = new_figure(11, 6)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    shares = np.log10(np.maximum(column_means(probabilities), 1e-6)).T
    extent = (0, len(levels) / rate, -0.5, len(shares) - 0.5)
    image = above.imshow(shares, cmap="magma", origin="lower", aspect="auto", extent=extent)
    image.set_clim(-4, 0)
    figure.colorbar(image, ax=above, label="log10 p")
    above.plot((np.arange(len(levels)) + 0.5) / rate, levels, ",", color="cyan", alpha=0.6)
    label(above, title, "", "level")
    times = (first + counts / 2) / rate
    costs, entropies = f"-ln p of the true level, mean {cost.mean():.2f}", f"entropy, mean {entropy.mean():.2f}"
    below.plot(times, column_means(cost), color="tab:cyan", linewidth=0.7, label=costs)
    below.plot(times, column_means(entropy), color="black", linewidth=0.9, label=entropies)
    below.legend(loc="upper right", fontsize="small")
    below.set(xlabel="s", ylabel="nats", ylim=(0, None))
    return figure
