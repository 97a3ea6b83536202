"""The samples of a recording device with a clock of its own, resampled to the clock of the device that plays.

The samples of the device that plays are the time of a live graph. While it plays 48000 samples, a device with another
crystal may record 48002.4 samples, and more when it is warm. A control loop measures the delay between the two devices,
and chooses the ratio of a resampler so that the delay stays constant. All this is outside of the graph: the recording
of an input has the samples that the graph got.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from dspgraph.streams import Array

CROSSINGS = 48
"""Half the length of the interpolation filter, in samples at the lower of the two rates."""

BAND = 0.932
"""The cutoff frequency of this filter (-6 dB), as a share of the lower of the two Nyquist frequencies.

The pass band ends at 0.86, and the stop band of 100 dB begins at 1.
"""

_BETA = 10.06
"""Shape of the Kaiser window: 0.1102 (A - 8.7) for a stop band of A = 100 dB."""

_PHASES = 1024
"""Steps between the rows of the table of the filter. Within a step, the filter is taken as a straight line.

The error of this is below (pi / 1024)**2 / 8.
"""

BANDWIDTH = 0.01
"""Hz, of the loop, when it has settled."""

FIRST_BANDWIDTH = 0.1
"""Hz, of the loop in its first 5 seconds."""

MOST_DRIFT = 0.005
"""The largest deviation of the ratio from that of the nominal rates, as a share of the latter."""

_MOST_ERROR = 0.02
"""Seconds. The loop leaves the ratio as it is while the error of the delay is larger; see `_RESET`."""

_RESET = 0.2
"""Seconds. If the error of the delay is too large for so long, a device has stalled: the resampler reads elsewhere."""

_MOST_GROWTH = 0.2
"""Seconds by which the delay may grow, if samples come too late again and again."""


def interpolation_table(ratio: float) -> Array:
    """Return the filter of `interpolate` at each phase: [1025, 2 * half], half = ceil(48 * max(1, ratio)).

        h(t) = sinc(c * t) * w(t / half),  c = 0.932 / max(1, ratio),  w: Kaiser window with beta = 10.06

    t: in samples of the input. Column k of row i has h(half - 1 + i / 1024 - k); each row is then scaled to the sum 1.
    ratio: the rate of the input divided by that of the output.

    Source: J. O. Smith, "Digital audio resampling home page", CCRMA, Stanford University, 2002: linear interpolation
    between the phases of a windowed sinc function.
    """
    wide = max(1.0, ratio)
    half = math.ceil(CROSSINGS * wide)
    t = half - 1 + np.arange(_PHASES + 1)[:, None] / _PHASES - np.arange(2 * half)
    table = np.sinc(BAND / wide * t) * np.i0(_BETA * np.sqrt(np.maximum(0.0, 1 - (t / half) ** 2)))
    found: Array = table / table.sum(axis=1, keepdims=True)
    return found


def interpolate(x: Array, positions: Array, table: Array) -> Array:
    """Return the values of a signal between its samples, [m, channels].

    x: [n, channels]. positions: [m], in samples from the first sample of x, at least half - 1 and below n - half.
    table: [1025, 2 * half], as `interpolation_table` returns it.
    """
    width = table.shape[1]
    whole = np.floor(positions).astype(np.int64)
    phase = (positions - whole) * _PHASES
    row = np.minimum(phase.astype(np.int64), _PHASES - 1)
    taps = table[row] + (phase - row)[:, None] * (table[row + 1] - table[row])
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=0)[whole - (width // 2 - 1)]
    found: Array = np.einsum("mt,mct->mc", taps, windows)
    return found


class SecondClock:
    """The samples of a device with a clock of its own: `put` takes its blocks, `take` gives quanta of the other clock.

    rate: the nominal rate of the device, Hz. to: the nominal rate of the quanta, Hz. channels: the number of channels
    of the device. samples: the number of samples in a quantum, at the rate `to`.

    The control loop: at each quantum it estimates how many samples the device has recorded by then; between blocks, the
    number is taken to grow linearly with time. The resampler should read `lateness` seconds behind the last of these
    samples. The error e, by how many seconds more it is behind, goes through two one-pole lowpass filters at 10 times
    the bandwidth of the loop. They keep variations of a few milliseconds in the times of calls from bending the pitch.
    The filtered e gives the number of samples that the resampler reads for each sample of the output:

        rate / to * (1 + s),    s = 1.5 * w * e + i,    di/dt = w**2 / 1.5 * e,    w = 2 * pi * bandwidth

    If the rates differ by a constant factor, e goes to 0; if the difference grows by d per second, e goes to 1.5 * d /
    w**2. The bandwidth is 0.1 Hz for 5 s, and then falls as 1 / time to 0.01 Hz. s and i are limited to +-0.005. An
    error above 20 ms, as after a stall of one of the devices, changes no ratio. If it lasts for 0.2 s, the resampler
    goes on reading where the delay is `lateness` again; the samples that it skips count as lost. `lateness` is chosen
    at the first quantum after a block, and grows, by up to 0.2 s in all, when samples come too late.

    Source: F. Adriaensen, "Controlling adaptive resampling", Linux Audio Conference, 2012.

    The attributes: `lateness`, the delay of the samples in seconds; `drift`, the s of the last quantum; `lost`, the
    number of samples that the device lost or delivered too late, and of those that were skipped after a stall;
    `losses`, (time in seconds since the first quantum, samples) of each run of losses. They are counted at the rate of
    the device.
    """

    def __init__(self, rate: Fraction, to: Fraction, channels: int, samples: int) -> None:
        self.channels, self.samples = channels, samples
        self.lateness = self.drift = 0.0
        self.lost = 0
        self.losses: list[tuple[float, int]] = []
        self._rate, self._span, self._nominal = float(rate), float(samples / to), float(rate / to)
        self._table = interpolation_table(self._nominal)
        self._half = self._table.shape[1] // 2
        self._held: Array = np.zeros((0, channels))
        self._first = 0  # the number of the first sample of `_held`
        self._came = 0  # how many samples have come
        self._last: float | None = None  # the time at which the last block came
        self._block = 0  # the largest block, in samples
        self._gap = 0.0  # the longest time between two blocks, before the first quantum
        self._place: tuple[int, float] | None = None  # where the resampler reads: a sample, and the part after it
        self._grown = 0  # by how many samples of the device the delay has grown
        self._late = 0  # samples of the device that came too late, since the last block
        self._wrong = 0  # the quanta in a row in which the error of the delay was too large
        self._before = (0.0, 0)  # `lateness` and `_grown` before the first of them
        self._steps = 0  # of the loop
        self._quanta = self._losing = 0  # the number of the last quantum, and of the last one with a loss
        self._low, self._slow = [0.0, 0.0], 0.0

    def put(self, block: Array, time: float, lost: int = 0) -> None:
        """Take a block of samples of the device, [n, channels].

        time: when the last sample of the block had been recorded, in seconds of a clock that the two devices share,
        such as that of the system. lost: the number of samples that the device lost before the block; zeros replace
        them.
        """
        if late := self._late:
            self._late = 0
            if not lost:
                self._wait(late)
        if lost > late:
            self._lose(lost - late)
        self._held = np.concatenate((self._held, np.zeros((lost, self.channels)), block))
        self._came += len(block) + lost
        self._block = max(self._block, len(block))
        if self._last is not None and self._place is None:
            self._gap = max(self._gap, time - self._last)
        self._last = time

    def take(self, time: float) -> Array:
        """Return the next quantum, [samples, channels].

        time: when the quantum is due, in seconds of the clock that `put` uses. The samples are 0 before the first
        block, and in place of samples that come too late.
        """
        self._quanta += 1
        if self._last is None:
            return np.zeros((self.samples, self.channels))
        if self._place is None:
            self._begin(time)
        assert self._place is not None
        error = self._error(time)
        if abs(error) <= _MOST_ERROR:
            self._wrong = 0
            self._steer(error)
        elif self._has_stalled():
            self._read_elsewhere(time)
        ratio = self._nominal * (1 + self.drift)
        whole, part = self._place
        positions = part + ratio * np.arange(self.samples)
        ready = int(np.searchsorted(positions, self._came - self._half - whole))
        found = np.zeros((self.samples, self.channels))
        if ready:
            if (before := self._first - (whole - self._half + 1)) > 0:  # the time before the first sample
                self._held = np.concatenate((np.zeros((before, self.channels)), self._held))
                self._first -= before
            found[:ready] = interpolate(self._held, positions[:ready] + (whole - self._first), self._table)
        if ready < self.samples:
            late = round(self._nominal * (self.samples - ready))
            self._late += late
            self._lose(late)
        end = part + ratio * self.samples
        self._place = whole + math.floor(end), end - math.floor(end)
        gone = min(self._place[0] - self._half + 1 - self._first, len(self._held))
        if gone > 0:
            self._held = self._held[gone:]
            self._first += gone
        return found

    @property
    def held(self) -> int:
        """The number of samples of the device that are kept."""
        return len(self._held)

    def _begin(self, time: float) -> None:
        """Choose the delay, and the position at which the resampler begins to read.

        The delay is the sum of half the length of the filter, the longest block of the device, and the longest time
        between two blocks, which is taken to be at least the length of that block. time: that of the quantum, as in
        `take`.
        """
        assert self._last is not None
        block = self._block / self._rate
        self.lateness = self._half / self._rate + block + max(block, self._gap)
        self._place = self._due(time)

    def _due(self, time: float) -> tuple[int, float]:
        """Return where the resampler must read for a delay of `lateness`: (number of a sample, fraction after it).

        time: that of the quantum, as in `take`.
        """
        assert self._last is not None
        place = self._came + (time - self._last - self.lateness) * self._rate
        return math.floor(place), place - math.floor(place)

    def _has_stalled(self) -> bool:
        """Count a quantum in which the error of the delay is too large; return whether a device has stalled.

        A device has stalled if the error has been too large for at least _RESET seconds and two quanta. At the first of
        these quanta, the delay is remembered for `_read_elsewhere`.
        """
        if not self._wrong:
            self._before = self.lateness, self._grown
        self._wrong += 1
        return self._wrong >= max(2, _RESET / self._span)

    def _read_elsewhere(self, time: float) -> None:
        """Move the position of the resampler so that the delay is as before the stall. Samples that it skips are lost.

        The lowpass filters of the error begin again at 0. time: that of the quantum, as in `take`.
        """
        assert self._place is not None
        self.lateness, self._grown = self._before
        old, self._place = self._place[0], self._due(time)
        if (skipped := self._place[0] - old) > 0:
            self._lose(skipped)
        self._low, self._late, self._wrong = [0.0, 0.0], 0, 0
        self.drift = self._slow

    def _error(self, time: float) -> float:
        """Return by how many seconds the delay of the samples is longer than `lateness`.

        time: that of the quantum, as in `take`.
        """
        assert self._last is not None
        assert self._place is not None
        whole, part = self._place
        late = (self._came - whole - part) / self._rate + (time - self._last)
        return late - self.lateness

    def _steer(self, error: float) -> None:
        """Do one step of the control loop: filter a new error, and set `drift`, the s of the docstring of the class.

        error: the e of this quantum, in seconds.
        """
        self._steps += 1
        bandwidth = max(BANDWIDTH, FIRST_BANDWIDTH * min(1.0, 5 / (self._steps * self._span)))
        w = 2 * math.pi * bandwidth
        pole = -math.expm1(-10 * w * self._span)
        self._low[0] += pole * (error - self._low[0])
        self._low[1] += pole * (self._low[0] - self._low[1])
        self._slow = _bounded(self._slow + w * w / 1.5 * self._span * self._low[1])
        self.drift = _bounded(1.5 * w * self._low[1] + self._slow)

    def _wait(self, late: int) -> None:
        """Let the delay grow after quanta in which samples came too late, so that the next samples come in time.

        late: the number of the samples that came too late. The delay grows by one block at most, so that one long stall
        does not make it much longer, and by _MOST_GROWTH seconds in all. Do not call this for samples that the device
        lost.
        """
        assert self._place is not None
        grows = min(late, self._block, round(_MOST_GROWTH * self._rate) - self._grown)
        self._grown += grows
        self.lateness += grows / self._rate
        self._place = self._place[0] - grows, self._place[1]

    def _lose(self, count: int) -> None:
        """Count lost samples. Losses in quanta that follow one another are one run in `losses`."""
        self.lost += count
        if self.losses and self._quanta <= self._losing + 1:
            time, before = self.losses[-1]
            self.losses[-1] = time, before + count
        else:
            self.losses.append((self._quanta * self._span, count))
        self._losing = self._quanta


def _bounded(drift: float) -> float:
    return min(max(drift, -MOST_DRIFT), MOST_DRIFT)
