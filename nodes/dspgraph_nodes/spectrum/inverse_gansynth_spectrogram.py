"""Audio from GANSynth's log magnitude and angle."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal import gansynth
from dspgraph_nodes._kernels.signal.gansynth import AngleForm, DroppedBin, GansynthLayout, GansynthScale, Normaliser

if TYPE_CHECKING:
    from dspgraph_nodes.models.gansynth.config import Config


def inverse_gansynth_spectrogram(
    spectrogram: Array,
    samples: int = 64000,
    drop: DroppedBin = "nyquist",
    scale: GansynthScale = "linear",
    form: AngleForm = "if",
    normaliser: Normaliser | None = None,
    rate: float = 16000,
) -> Array:
    """Return the clip [samples] of a spectrogram [frames, bins, 2]: the last `samples` samples of the synthesis.

    The samples before them are the padding of `gansynth_spectrogram`, whose other arguments must be given here too. The
    last 3 hops of the clip are softer than in the original, because no frames follow that would overlap them. Raises
    ParameterError if the synthesis has fewer samples, for a number of bins out of bounds, and for parameters that
    exclude each other.
    """
    from dspgraph_nodes._kernels.signal.overlap_add import add_rows

    frames, bins, _ = spectrogram.shape
    layout = GansynthLayout(bins, drop, scale, form, normaliser, rate)
    try:
        layout.check()
    except ValueError as error:
        raise ParameterError(f"inverse_gansynth_spectrogram.{error}") from None
    y = np.zeros(layout.hop * (frames - 1) + layout.n_fft)
    if not 0 <= samples <= len(y):
        raise ParameterError(
            f"inverse_gansynth_spectrogram.samples is {samples}; {frames} frames of {bins} bins have {len(y)}: take 0 "
            f"to {len(y)}"
        )
    waves = layout.synthesise(spectrogram[..., 0], spectrogram[..., 1], np.zeros(bins))
    add_rows(waves, layout.synthesis_window(), layout.hop, y)
    return y[len(y) - samples :].astype(np.result_type(spectrogram, np.float32), copy=False)


@dataclass
class SynthesisState:
    """The state of the synthesis.

    tail: the sums so far of the next 3 hops of output, to which later frames add; early: how many samples before the
    start of the signal are still to be dropped; before: [bins], the sum of the angles of all rows so far, in units of
    pi, which only the form "if" uses.
    """

    tail: Array  # sums so far of the next 3 hops of output
    early: int  # samples before the start of the signal that are still to be dropped
    before: Array  # [bins]: sum of all angles so far, for the form if


class InverseGansynthSpectrogram(Node):
    """Synthesise audio from GANSynth's log magnitude and angle: the inverse of `gansynth_spectrogram`.

        scale linear:      |X_k| = e**magnitude_k
        scale mel:         |X_k|**2 = e**magnitude_k @ V + 1e-6, angle becomes angle @ V
                           V = W.T @ diag(1 / (ones @ W @ W.T))
        scale phasor_mel:  as mel, but angle becomes arg(e**(magnitude + j * pi * angle) @ V) / pi, j = sqrt(-1)
        form if:           theta_k = theta_{k-1} + pi * angle_k
        form phase:        theta_k = pi * angle_k
        X_k = |X_k| * e**(j * theta_k)
        y[n] = sum_k hann[i] * irfft(X_k)[i] / 1.5,    i = n - k * hop + 3 * hop

    W is the matrix of the mel bands, and `ones` a row of ones. The dropped bin is set to 0. The parameters must be
    those of the `gansynth_spectrogram` that made the rows. If the node `gansynth` made the rows, give its `weights` in
    place of all other parameters. A row with nothing above the floor of the logarithm is silence. A log magnitude above
    80 counts as 80, so that every output is finite. As in the published code, the last 3 hops fade out, because no
    frames follow that would overlap them.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; magenta,
    models/gansynth/lib/specgrams_helper.py.
    """

    magnitude = Input(Frames, *gansynth.MAGNITUDE_KINDS)
    angle = Input(Frames, *gansynth.ANGLE_KINDS)
    y = Output(Audio)

    drop: DroppedBin = Field("nyquist", description="the bin left out: nyquist (the paper), dc (the published code)")
    scale: GansynthScale = Field(
        "linear", description="linear bins, mel bands as published, or mel bands that average phasors"
    )
    form: AngleForm = Field("if", description="if: change of the angle from frame to frame; phase: the angle itself")
    normalise: bool = Field(
        False, description="scale the inputs, which are in -1 .. 1, back; a row clipped at the floor is silence"
    )
    magnitude_scale: float = Field(
        gansynth.PUBLISHED_NORMALISER.magnitude[0], gt=0, description="scale of a normalised magnitude"
    )
    magnitude_shift: float = Field(
        gansynth.PUBLISHED_NORMALISER.magnitude[1], description="shift of a normalised magnitude"
    )
    angle_scale: float = Field(gansynth.PUBLISHED_NORMALISER.angle[0], gt=0, description="scale of a normalised angle")
    angle_shift: float = Field(gansynth.PUBLISHED_NORMALISER.angle[1], description="shift of a normalised angle")
    weights: File | None = Field(
        None, description="weights of the GANSynth that made the rows, in place of all other parameters"
    )

    @cached_property
    def _config(self) -> "Config | None":
        """The configuration in the file of weights, or None if no file is given.

        Raises ParameterError if another parameter is given beside the file, and for a file that cannot be used.
        """
        from dspgraph_nodes.models.gansynth.weights import WEIGHTS
        from dspgraph_nodes.models.shared.cached import WeightsFile

        if self.weights is None:
            return None
        if others := sorted(self.model_fields_set - {"weights"}):
            raise ParameterError(f"{self.type_name}.weights also contain {others[0]}: leave one of the two out")
        file = WeightsFile(WEIGHTS, lambda config, arrays: None, f"{self.type_name}.weights", self.weights)
        return file.config

    def streams(self, magnitude: Frames, angle: Frames) -> tuple[Audio]:
        layout = self._layout(magnitude)
        try:
            layout.check()
        except ValueError as error:
            raise ParameterError(f"{self.type_name}.{error}") from None
        kinds = (layout.magnitude_kind, layout.angle_kind)
        if (magnitude.kind, angle.kind) != kinds:
            raise ParameterError(
                f"{self.type_name}.scale is '{layout.scale}', form '{layout.form}', normalise "
                f"{layout.normaliser is not None}: these take '{kinds[0]}' and '{kinds[1]}', found '{magnitude.kind}' "
                f"and '{angle.kind}'; give it the parameters the rows were made with"
            )
        if magnitude.width != angle.width:
            raise ParameterError(
                f"{self.type_name} takes as many angles as magnitudes; found {magnitude} and {angle}: take both from "
                "one node"
            )
        if magnitude.centre * magnitude.rate * layout.hop != layout.hop - layout.bins:
            raise ParameterError(
                f"{self.type_name} takes frames that end where their span ends, centred at "
                f"{layout.hop - layout.bins} samples; found {magnitude}: take them from a 'gansynth_spectrogram'"
            )
        return (Audio(magnitude.rate * layout.hop, dtype=magnitude.dtype),)

    def lookahead(self, magnitude: Frames, angle: Frames) -> Fraction:
        return 3 / magnitude.rate

    def start(self, magnitude: Frames, angle: Frames) -> State:
        layout = self._layout(magnitude)
        over = layout.n_fft - layout.hop
        return layout, SynthesisState(np.zeros(over), over, np.zeros(layout.bins)), magnitude.dtype

    def step(self, state: State, magnitude: Array, angle: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.overlap_add import add_rows

        layout, sums, dtype = state
        over, done = len(sums.tail), len(magnitude) * layout.hop
        total = np.zeros(done + over)
        total[:over] = sums.tail
        add_rows(layout.synthesise(magnitude, angle, sums.before), layout.synthesis_window(), layout.hop, total)
        early = min(sums.early, done)
        sums.tail, sums.early = total[done:].copy(), sums.early - early
        return state, total[early:done].astype(dtype, copy=False)

    def flush(self, state: State) -> tuple[Array]:
        _, sums, dtype = state
        return (sums.tail[sums.early :].astype(dtype, copy=False),)

    def _layout(self, magnitude: Frames) -> GansynthLayout:
        bins = magnitude.width
        rate = float(magnitude.rate * bins / 2)
        if c := self._config:
            return GansynthLayout(bins, c.drop, c.scale, c.form, Normaliser(c.magnitude, c.angle), rate)
        normaliser = Normaliser((self.magnitude_scale, self.magnitude_shift), (self.angle_scale, self.angle_shift))
        return GansynthLayout(bins, self.drop, self.scale, self.form, normaliser if self.normalise else None, rate)
