"""GANSynth's log magnitude and angle."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.signal import gansynth
from dspgraph_nodes._kernels.signal.framing import FrameBuffer, Framing
from dspgraph_nodes._kernels.signal.gansynth import AngleForm, DroppedBin, GansynthLayout, GansynthScale, Normaliser


def gansynth_spectrogram(
    x: Array,
    frames: int = 128,
    bins: int = 1024,
    drop: DroppedBin = "nyquist",
    scale: GansynthScale = "linear",
    form: AngleForm = "if",
    normaliser: Normaliser | None = None,
    rate: float = 16000,
) -> Array:
    """Return the spectrogram [frames, bins, 2] of a clip, log magnitude and angle, framed as in the published code.

    x: [n], n at most hop * (frames - 1) + n_fft; a shorter clip is padded with zeros at its start. Window and n_fft
    have 2 * bins samples, the hop is bins / 2. The published sizes, for 4 s at 16 kHz, are 128 frames of 1024 bins and
    256 frames of 512 bins. normaliser: scales and shifts, or None for `normalise: false`; rate: sampling rate of x, Hz;
    the other arguments are the parameters of `GansynthSpectrogram`. Raises ParameterError for a longer clip, for frames
    or bins out of bounds, and for parameters that exclude each other.
    """
    layout = GansynthLayout(bins, drop, scale, form, normaliser, rate)
    try:
        layout.check()
    except ValueError as error:
        raise ParameterError(f"gansynth_spectrogram.{error}") from None
    if frames < 1:
        raise ParameterError(f"gansynth_spectrogram.frames is {frames}; it must be a whole number, at least 1")
    length = layout.hop * (frames - 1) + layout.n_fft
    if len(x) > length:
        raise ParameterError(
            f"gansynth_spectrogram puts {length} samples in {frames} frames; found {len(x)}: cut the clip, or take "
            f"{-(-(len(x) - layout.n_fft) // layout.hop) + 1} frames"
        )
    x = floating(x)
    padded = np.zeros(length, x.dtype)
    padded[length - len(x) :] = x
    # The first frame begins at the start of the padded clip, the last frame ends at its end.
    cut = Framing(layout.n_fft, layout.hop, 0).whole(padded)[:frames]
    spectrogram = np.stack(layout.analyse(cut, np.zeros(bins)), axis=2)
    return spectrogram.astype(x.dtype, copy=False)


@dataclass
class AnalysisState:
    """The state of the analysis. held: the samples that later frames need.

    before: [bins], the angles of the last frame in units of pi, which only the form "if" uses; 0 before the first.
    """

    held: FrameBuffer
    before: Array


class GansynthSpectrogram(Node):
    """Compute the spectrogram that GANSynth is trained on: log magnitude and instantaneous frequency.

        X_k = rfft of hann[i] * x[k * hop - 3 * hop + i], i = 0 .. n_fft - 1,    n_fft = 2 * bins,    hop = n_fft / 4
        magnitude = ln(|X_k| + 1e-6)
        form if:           angle = wrap(arg X_k - arg X_{k-1}) / pi
        form phase:        angle = arg X_k / pi
        scale mel:         magnitude becomes ln(P @ W + 1e-6), angle becomes wrap(angle @ W),    P = (|X| + 1e-6)**2
        scale phasor_mel:  as mel, but angle becomes arg((P * e**(j * pi * angle)) @ W) / pi, j: the imaginary unit

    The transform has bins + 1 bins. One is dropped: Nyquist, as in the paper, or DC, as in the published code. A frame
    ends where its span ends, so there is no lookahead. A published spectrogram of 4 s has 3 rows (1024 bins) or 6 rows
    (512 bins) of silence, and then the rows of this node.

    W is the [bins, bins] matrix that sums the linear bins in mel bands. The scale `mel` loses much of the phase,
    `phasor_mel` loses less. `normalise` replaces each output x by scale * x + shift, clipped to -1 .. 1; the default
    scales and shifts are the published ones, which fit mel magnitudes of 1024 bins.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; magenta,
    models/gansynth/lib/specgrams_helper.py.
    """

    x = Input(Audio)
    magnitude = Output(Frames)
    angle = Output(Frames)

    bins: int = Field(
        1024, ge=16, le=4096, description="bins of a row, a power of two: n_fft = 2 * bins, hop = bins / 2"
    )
    drop: DroppedBin = Field("nyquist", description="the bin left out: nyquist (the paper), dc (the published code)")
    scale: GansynthScale = Field(
        "linear", description="linear bins, mel bands as published, or mel bands that average phasors"
    )
    form: AngleForm = Field("if", description="if: change of the angle from frame to frame; phase: the angle itself")
    normalise: bool = Field(False, description="scale both outputs and clip them to -1 .. 1")
    magnitude_scale: float = Field(
        gansynth.PUBLISHED_NORMALISER.magnitude[0], gt=0, description="scale of a normalised magnitude"
    )
    magnitude_shift: float = Field(
        gansynth.PUBLISHED_NORMALISER.magnitude[1], description="shift of a normalised magnitude"
    )
    angle_scale: float = Field(gansynth.PUBLISHED_NORMALISER.angle[0], gt=0, description="scale of a normalised angle")
    angle_shift: float = Field(gansynth.PUBLISHED_NORMALISER.angle[1], description="shift of a normalised angle")

    def streams(self, x: Audio) -> tuple[Frames, Frames]:
        require_mono(x, self)
        layout = self._layout(x)
        try:
            layout.check()
        except ValueError as error:
            raise ParameterError(f"{self.type_name}.{error}") from None
        centre = Fraction(layout.hop - layout.bins) / x.rate
        rows = Frames(x.rate / layout.hop, layout.magnitude_kind, self.bins, centre, x.dtype)
        return rows, rows.like(kind=layout.angle_kind)

    def start(self, x: Audio) -> State:
        return self._layout(x), AnalysisState(self._cut().start(x.dtype), np.zeros(self.bins))

    def step(self, state: State, x: Array) -> tuple[State, Array, Array]:
        layout, memory = state
        return state, *self._analyse(layout, memory, self._cut().step(memory.held, x))

    def flush(self, state: State) -> tuple[Array, Array]:
        layout, memory = state
        return self._analyse(layout, memory, self._cut().flush(memory.held))

    def _analyse(self, layout: GansynthLayout, memory: AnalysisState, frames: Array) -> tuple[Array, Array]:
        dtype = frames.dtype
        if not len(frames):
            return np.empty((0, self.bins), dtype), np.empty((0, self.bins), dtype)
        magnitude, angle = layout.analyse(frames, memory.before)
        return magnitude.astype(dtype, copy=False), angle.astype(dtype, copy=False)

    def _cut(self) -> Framing:
        return Framing(2 * self.bins, self.bins // 2, self.bins // 2 - 2 * self.bins)

    def _layout(self, x: Audio) -> GansynthLayout:
        normaliser = Normaliser(
            (self.magnitude_scale, self.magnitude_shift), (self.angle_scale, self.angle_shift)
        )  # fmt: skip
        return GansynthLayout(
            self.bins, self.drop, self.scale, self.form, normaliser if self.normalise else None, float(x.rate)
        )
