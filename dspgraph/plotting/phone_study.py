"""The phone study: how wide the distributions are that a model predicts, phone by phone.

Every sample of a recording has a phone, from an alignment, and a mixture of logistics, from a model. For each phone the
study makes a histogram of the scales of the components, with logarithmic bins. Each component counts with its weight,
so that all components of a sample together count 1. If for each sample one component were drawn at random by weight,
this would be the expected histogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dspgraph.errors import RequestError, suggest
from dspgraph.io.atomic import write_whole
from dspgraph.io.tables import csv_bytes
from dspgraph.shown import shown
from dspgraph.streams import Array, Frames

MIXTURE = "logistic_mixture"
"""The kind of rows of K logits, K means and K natural logarithms of scales."""

SCALES = ("log_scale", "log_deviation")
"""The kinds of rows of one natural logarithm of a scale or of a standard deviation."""

BINS_PER_DECADE = 10
LOWEST, HIGHEST = -20, 5
"""The bins of log10(scale) have the width 1 / BINS_PER_DECADE, from LOWEST to HIGHEST. Scales outside this range are
counted in the first or last bin.
"""

MOST_LABELS = 1000
"""The largest number of different labels in a study. A tier of words has more."""

_BINS = (HIGHEST - LOWEST) * BINS_PER_DECADE

_NEGLIGIBLE = 1e-6
"""Bins at either end of a table are left out as long as together they have at most this share of all counts."""


class Extreme(NamedTuple):
    """A sample at which a phone has its least or its greatest scale.

    log10_scale: the mean of log10(scale) over the components, by weight. recording: the name of the recording. item:
    the number of the sample in the recording, from 0. seconds: the time at which the sample begins. row: [width], the
    frame of the model at this sample.
    """

    log10_scale: float
    recording: str
    item: int
    seconds: float
    row: Array


def _extreme(log10_scale: float) -> Extreme:
    """Return the value that `PhoneRow.least` or `PhoneRow.greatest` has before any sample was counted.

    log10_scale: infinity for `least`, minus infinity for `greatest`, so that the first sample replaces the value.
    """
    return Extreme(log10_scale, "", 0, 0.0, np.zeros(0))


@dataclass
class PhoneRow:
    """The statistics of one phone in a study.

    samples: the number of samples of the phone. counts: [bins], the sum of weights in every bin. total, squares: the
    sums over samples of L and of L**2, where L is the mean of log10(scale) over the components of a sample, by weight.
    least, greatest: the samples with the least and the greatest L.
    """

    samples: int = 0
    counts: Array = field(default_factory=lambda: np.zeros(_BINS))
    total: float = 0.0
    squares: float = 0.0
    least: Extreme = field(default_factory=lambda: _extreme(math.inf))
    greatest: Extreme = field(default_factory=lambda: _extreme(-math.inf))

    @property
    def mean(self) -> float:
        """The mean of L over the samples of the phone.

        L is the mean of log10(scale) over the components of one sample, by weight.
        """
        return self.total / self.samples

    @property
    def deviation(self) -> float:
        """The standard deviation of L over the samples of the phone.

        L is the mean of log10(scale) over the components of one sample, by weight.
        """
        return math.sqrt(max(self.squares / self.samples - self.mean**2, 0.0))


@dataclass
class PhoneStudy:
    """Statistics, for each phone, of the scales of a model's distributions, over any number of recordings.

    kind: the kind of all frames, MIXTURE or one of SCALES; the caller sets it, `add` does not. rows: label of a phone
    -> its statistics. seconds: label of a phone -> the duration of all its samples. notes: sentences about the
    alignments, for instance about recordings that were left out. `histogram`, `table`, `write` and `widest` need one
    phone or more.
    """

    kind: str = ""
    rows: dict[str, PhoneRow] = field(default_factory=dict)
    seconds: dict[str, Fraction] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def phones(self) -> list[str]:
        """The labels of all phones in the study, sorted."""
        return sorted(self.rows)

    def add(
        self, recording: str, stream: Frames, first: int, rows: Array, codes: Array, labels: tuple[str, ...]
    ) -> None:
        """Count the frames of one block of a recording.

        recording: its name. stream: the stream of the frames. first: the number of the block's first frame in the
        recording. rows: [n, width], the frames. codes: [n]; the phone of row k is labels[codes[k]]. Raises RequestError
        if the study then has more than MOST_LABELS labels.
        """
        log_scales, weights = _scales(stream.kind, rows)
        expected = (weights * log_scales).sum(axis=1)
        bins = np.clip(np.floor((log_scales - LOWEST) * BINS_PER_DECADE), 0, _BINS - 1).astype(np.int64)
        places = (codes[:, None] * _BINS + bins).ravel()
        counts = np.bincount(places, weights.ravel(), len(labels) * _BINS).reshape(len(labels), _BINS)
        for code in np.unique(codes):
            label, items = labels[code], np.flatnonzero(codes == code)
            row = self.rows.setdefault(label, PhoneRow())
            row.samples += len(items)
            row.counts += counts[code]
            row.total += float(expected[items].sum())
            row.squares += float((expected[items] ** 2).sum())
            self.seconds[label] = self.seconds.get(label, Fraction(0)) + stream.seconds(len(items))
            ends = (int(items[expected[items].argmin()]), int(items[expected[items].argmax()]))
            least, greatest = (
                Extreme(float(expected[at]), recording, first + at, float(stream.seconds(first + at)), rows[at].copy())
                for at in ends
            )
            row.least = min(row.least, least, key=_scale_of)
            row.greatest = max(row.greatest, greatest, key=_scale_of)
        if len(self.rows) > MOST_LABELS:
            raise RequestError(
                f"the alignments have more than {MOST_LABELS} different labels, for instance {shown(self.phones[0])}: "
                "choose the tier of phones, or fold parts of the labels"
            )

    def histogram(self) -> tuple[Array, Array]:
        """Return the edges of bins, [m + 1] in log10(scale), and the counts, [phones, m] in the order of `phones`.

        At each end, bins that together have at most 1e-6 of all counts are added to the nearest bin that is kept.
        """
        counts = np.stack([self.rows[label].counts for label in self.phones])
        share = np.cumsum(counts.sum(axis=0)) / counts.sum()
        first = int(np.searchsorted(share, _NEGLIGIBLE, side="right"))
        last = max(int(np.searchsorted(share, 1 - _NEGLIGIBLE)), first)
        kept = counts[:, first : last + 1].copy()
        kept[:, 0] += counts[:, :first].sum(axis=1)
        kept[:, -1] += counts[:, last + 1 :].sum(axis=1)
        return LOWEST + np.arange(first, last + 2) / BINS_PER_DECADE, kept

    def table(self) -> Iterator[Sequence[str | float]]:
        """Yield the rows of the table of the study: first the names of the columns, then one row per phone."""
        edges, counts = self.histogram()
        ends = [f"{end}_{what}" for end in ("least", "greatest") for what in ("log10_scale", "recording", "seconds")]
        names = [f"count_from_{edge:.1f}" for edge in edges[:-1]]
        yield ["phone", "samples", "seconds", "mean_log10_scale", "deviation_log10_scale", *ends, *names]
        for label, count in zip(self.phones, counts, strict=True):
            row = self.rows[label]
            known = (label, row.samples, float(self.seconds[label]), row.mean, row.deviation)
            yield *known, *_cells(row.least), *_cells(row.greatest), *count.tolist()

    def write(self, path: Path) -> Path:
        """Write the table as the CSV file `path`, and return `path`. Raises FileError if it cannot be written."""
        return write_whole(path, csv_bytes(self.table()))

    def widest(self) -> str:
        """Return the phone with the largest ratio of its greatest to its least scale.

        The labels of pauses, and of samples outside all intervals, are considered only if there are no other labels.
        """

        def span(label: str) -> tuple[bool, float]:
            row = self.rows[label]
            return label.lower() not in _PAUSES, row.greatest.log10_scale - row.least.log10_scale

        return max(self.phones, key=span)

    def row(self, label: str) -> PhoneRow:
        """Return the statistics of the phone `label`. Raises RequestError if the study has no such phone."""
        if label not in self.rows:
            raise RequestError(f"no sample has the phone {shown(label)}; {suggest(label, self.rows)}")
        return self.rows[label]


_PAUSES = {"(outside)", "(empty)", "silence", "sil", "sp", "spn", "pau", "pause", "#", "h#", "<eps>", "sil_s"}
"""Labels, in small letters, of samples in which nobody speaks."""


def _scale_of(one: Extreme) -> float:
    return one.log10_scale


def _cells(one: Extreme) -> tuple[float, str, float]:
    return one.log10_scale, one.recording, one.seconds


def _scales(kind: str, rows: Array) -> tuple[Array, Array]:
    """Return log10(scale) and the weight of every component, both [n, K] in float64. The weights of a row sum to 1.

    kind: the kind of the frames, MIXTURE or one of SCALES. rows: [n, width], the frames. For a kind in SCALES, each row
    has one component: K is 1, and the weight is 1. For "log_deviation", the scale is the standard deviation.
    """
    wide = rows.astype(np.float64)
    if kind != MIXTURE:
        return wide / math.log(10), np.ones_like(wide)
    logits, _, log_scales = np.split(wide, 3, axis=1)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return log_scales / math.log(10), weights / weights.sum(axis=1, keepdims=True)
