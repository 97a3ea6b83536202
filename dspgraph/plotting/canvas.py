"""Drawing that all figures share: a new figure, its labels, the file it is saved to."""

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
    """Return an empty figure of this size in inches. No window is opened, and pyplot's state is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label(axis: Axes, title: str, x: str = "s", y: str = "Hz") -> None:
    """Set the title and the units of the axes. The title is a plain text, for instance the name of a file."""
    axis.set_title(title.encode(errors="replace").decode(), parse_math=False)  # a name may be invalid as text
    axis.set(xlabel=x, ylabel=y)


def row_edges(frequencies: Array) -> tuple[float, float]:
    """Return the lower edge of the first row and the upper edge of the last, for rows with equally spaced centres."""
    half = float(frequencies[1] - frequencies[0]) / 2
    return float(frequencies[0]) - half, float(frequencies[-1]) + half


def save(figure: Figure, target: Path) -> Path:
    """Write the figure as a PNG, atomically. Raises FileError if it cannot be written."""
    part = AtomicFile(target)
    with part.attempt(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # such a letter of a title becomes a box
        figure.savefig(part.temporary, format="png", dpi=110)
    part.place()
    return target
