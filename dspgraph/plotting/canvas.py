"""Helpers for all figures: they make an empty figure, label its axes, and save it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dspgraph.io.atomic import AtomicFile
from dspgraph.streams import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure. width, height: in inches. Opens no window, and leaves the state of pyplot unchanged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label(axis: Axes, title: str, x: str = "s", y: str = "Hz") -> None:
    """Set the title and the labels of the axes, x and y. A `$` in the title does not begin a formula.

    title: any text, such as a file name; characters that are not valid Unicode are drawn as "?".
    """
    axis.set_title(title.encode(errors="replace").decode(), parse_math=False)  # a file name may be invalid as text
    axis.set(xlabel=x, ylabel=y)


def row_edges(frequencies: Array) -> tuple[float, float]:
    """Return the lower edge of the first row of an image and the upper edge of its last row, in Hz.

    frequencies: the centres of the rows in Hz, two or more, equally spaced.
    """
    half = float(frequencies[1] - frequencies[0]) / 2
    return float(frequencies[0]) - half, float(frequencies[-1]) + half


def save(figure: Figure, target: Path) -> Path:
    """Write a figure as the PNG file `target`, completely or not at all, and return `target`.

    An older file is replaced. Raises FileError if the file cannot be written.
    """
    part = AtomicFile(target)
    with part.attempt(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # such a letter is drawn as a box
        figure.savefig(part.temporary, format="png", dpi=110)
    part.place()
    return target
