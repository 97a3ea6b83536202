"""The picture of a phone study: a heat map of scales by phone, and distributions at the extremes of one phone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dspgraph.plotting.canvas import label, new_figure
from dspgraph.plotting.phone_study import MIXTURE, Extreme, PhoneStudy
from dspgraph.shown import escaped, shortened
from dspgraph.streams import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES, LEAST_INCHES, MOST_INCHES = 0.17, 3.0, 100.0
"""Inches: the height of one row of the heat map, and the least and greatest height of all rows together."""

REACH = 4
"""The number of standard deviations, on each side of its mean, over which a distribution is drawn."""

_NAMES = {
    MIXTURE: "scale s of the components",
    "log_scale": "scale s",
    "log_deviation": "standard deviation",
}  # fmt: skip


def phone_heat_map(study: PhoneStudy, title: str, phone: str | None = None) -> Figure:
    """Draw a study: for every phone the share of its samples in each bin of the scale, and the number of its samples.

    study: with one phone or more, and its `kind` set. If the frames are mixtures, two densities are drawn below: the
    distributions that the model predicts at the samples where one phone has its least and its greatest scale. phone:
    the label of this phone; by default the phone whose least and greatest scale differ most (see `PhoneStudy.widest`).
    Raises RequestError for a label that the study does not have.
    """
    name = study.widest() if phone is None else phone
    one = study.row(name)
    edges, counts = study.histogram()
    height = min(max(ROW_INCHES * len(counts), LEAST_INCHES), MOST_INCHES)
    mixtures = study.kind == MIXTURE
    figure = new_figure(10, height + 1 + 3 * mixtures)
    top, *rest = figure.subfigures(1 + mixtures, 1, height_ratios=[height + 1, *[3] * mixtures], squeeze=False)[:, 0]
    left, right = top.subplots(1, 2, sharey=True, width_ratios=(5, 1))
    shares = counts / counts.sum(axis=1, keepdims=True)
    extent = (edges[0], edges[-1], len(counts) - 0.5, -0.5)
    image = left.imshow(shares, cmap="magma", aspect="auto", interpolation="nearest", extent=extent)
    image.set_clim(0, max(float(np.percentile(shares[shares > 0], 98)), np.finfo(float).tiny))
    top.colorbar(image, ax=right, label="share of the samples of a phone")
    left.set_yticks(range(len(counts)), [shortened(escaped(each), 20) for each in study.phones], fontsize="x-small")
    for text in left.get_yticklabels():
        text.set_parse_math(False)
    label(left, title, f"log10 of the {_NAMES[study.kind]}; the amplitudes of the model have full scale 1", "phone")
    samples = [study.rows[each].samples for each in study.phones]
    right.barh(range(len(samples)), samples, color="lightgray")
    for at, number in enumerate(samples):
        right.text(0, at, f" {number:,}", va="center", fontsize="x-small")
    right.set(xticks=[], xlabel="samples")
    for below in rest:
        axes = below.subplots(1, 2)
        _draw_density(axes[0], f"{name} at its least scale", one.least)
        _draw_density(axes[1], f"{name} at its greatest scale", one.greatest)
    return figure


def _draw_density(axis: Axes, title: str, extreme: Extreme) -> None:
    """Draw the density of the mixture at a sample `extreme`, and its components that have a weight of 1 % or more.

    title: the first line of the title; a second line with scale, recording and time of the sample is added.
    """
    weights, means, scales = _mixture(extreme.row)
    mean = float(weights @ means)
    deviation = math.sqrt(float(weights @ ((means - mean) ** 2 + scales**2 * math.pi**2 / 3)))
    reach = mean + REACH * deviation * np.linspace(-1, 1, 501)
    x = np.concatenate([reach, (means[:, None] + scales[:, None] * np.linspace(-8, 8, 65)).ravel()])
    x = np.unique(np.clip(x, reach[0], reach[-1]))  # the peak of a narrow component is drawn too
    densities = weights[:, None] * logistic_density(x, means[:, None], scales[:, None])
    for share, density in zip(weights, densities, strict=True):
        if share >= 0.01:
            axis.plot(x, density, color="tab:gray", linewidth=0.6)
    axis.plot(x, densities.sum(axis=0), color="tab:red", linewidth=1.2)
    axis.set_ylim(0, None)
    place = f"10^{extreme.log10_scale:.2f}, {shortened(escaped(extreme.recording), 40)}, {extreme.seconds:.4f} s"
    label(axis, f"{shortened(escaped(title), 60)}\n{place}", "amplitude", "density")


def _mixture(row: Array) -> tuple[Array, Array, Array]:
    """Return weights (their sum is 1), means and scales, each [K], of a row of K logits, K means and K log-scales."""
    logits, means, log_scales = np.split(row.astype(np.float64), 3)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum(), means, np.exp(np.clip(log_scales, -100, 100))


def logistic_density(x: Array, mean: Array, scale: Array) -> Array:
    """Return the density of a logistic distribution at x: 1 / (4 * s * cosh((x - m) / (2 * s))**2).

    mean, scale: m and s. The three arrays are broadcast.
    """
    decay = np.exp(-np.minimum(np.abs((x - mean) / scale), 700))
    density: Array = decay / (scale * (1 + decay) ** 2)
    return density
