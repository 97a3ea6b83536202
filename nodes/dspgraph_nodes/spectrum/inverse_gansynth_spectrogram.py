"""Audio from the magnitude and angle of GANSynth."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal import gansynth
from dspgraph_nodes._kernels.signal.gansynth import AngleForm, DroppedBin, GansynthFormat, GansynthScale, Normaliser


def inverse_gansynth_spectrogram(
    spectrogram: Array,
    samples: int = 64000,
    drop: DroppedBin = "nyquist",
    scale: GansynthScale = "linear",
    form: AngleForm = "if",
    normaliser: Normaliser | None = None,
    rate: float = 16000,
) -> Array:
    """The last `samples` samples of the clip that a picture [frames, bins, 2] shows: what is before is the padding.

    The last 3 hops are fainter than they were, for the frames that would begin after them are not there. Raises
    ParameterError where there are fewer samples, and for choices that do not go together.
    """
    from dspgraph_nodes._kernels.signal.overlap_add import add_rows

    frames, bins, _ = spectrogram.shape
    picture = GansynthFormat(bins, drop, scale, form, normaliser, rate)
    try:
        picture.check()
    except ValueError as error:
        raise ParameterError(f"inverse_gansynth_spectrogram.{error}") from None
    y = np.zeros(picture.hop * (frames - 1) + picture.n_fft)
    if not 0 <= samples <= len(y):
        raise ParameterError(
            f"inverse_gansynth_spectrogram.samples is {samples}; {frames} frames of {bins} bins have {len(y)}: take 0 "
            "to as many"
        )
    waves = picture.synthesise(spectrogram[..., 0], spectrogram[..., 1], np.zeros(bins))
    add_rows(waves, picture.synthesis_window(), picture.hop, y)
    return y[len(y) - samples :].astype(np.result_type(spectrogram, np.float32), copy=False)


@dataclass
class SynthesisState:
    """What frames to come still add to, and turn on from."""

    tail: Array  # the last 3 hops of the sum
    early: int  # samples before the start of the signal that are still to be dropped
    before: Array  # [bins]: the sum of the steps of the angle


class InverseGansynthSpectrogram(Node):
    """The inverse of `gansynth_spectrogram` with the same parameters: audio from log magnitude and angle.

        theta_k = theta_{k-1} + pi angle_k, or pi angle_k;    X_k = e**magnitude_k e**(i theta_k), the dropped bin 0
        y[n] = sum_k hann[i] irfft(X_k)[i] / 1.5,    i = n - k hop + 3 hop

    From mel bands with V = W^T diag(1 / (1 W W^T)): |X|**2 = e**magnitude V + 1e-6, and angle V, or with `phasor_mel`
    arg(sum e**(magnitude + i pi angle) V) / pi. A row with nothing above the floor of the logarithm is silence. A log
    magnitude above 80, which is 695 dB, counts as 80: all that comes out is a number. As in the published code nothing
    makes up for the frames missing after the last: it fades in the last 3 hops.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; magenta,
    models/gansynth/lib/specgrams_helper.py.
    """

    magnitude = Input(Frames, *gansynth.MAGNITUDE_KINDS)
    angle = Input(Frames, *gansynth.ANGLE_KINDS)
    y = Output(Audio)

    drop: DroppedBin = Field("nyquist", description="the bin left out: nyquist (the paper), dc (the published code)")
    scale: GansynthScale = Field(
        "linear", description="bins, mel bands as published, or mel bands that average phasors"
    )
    form: AngleForm = Field(
        "if", description="if: by how much the angle turns from frame to frame; phase: the angle itself"
    )
    normalise: bool = Field(
        False, description="the inputs are scaled to -1 .. 1: scale them back; a row clipped at the floor is silence"
    )
    magnitude_scale: float = Field(
        gansynth.PUBLISHED_NORMALISER.magnitude[0], gt=0, description="of a normalised magnitude"
    )
    magnitude_shift: float = Field(gansynth.PUBLISHED_NORMALISER.magnitude[1], description="of a normalised magnitude")
    angle_scale: float = Field(gansynth.PUBLISHED_NORMALISER.angle[0], gt=0, description="of a normalised angle")
    angle_shift: float = Field(gansynth.PUBLISHED_NORMALISER.angle[1], description="of a normalised angle")

    def streams(self, magnitude: Frames, angle: Frames) -> tuple[Audio]:
        picture = self._picture(magnitude)
        try:
            picture.check()
        except ValueError as error:
            raise ParameterError(f"{self.type_name}.{error}") from None
        kinds = (picture.magnitude_kind, picture.angle_kind)
        if (magnitude.kind, angle.kind) != kinds:
            raise ParameterError(
                f"{self.type_name}.scale is '{self.scale}', form '{self.form}', normalise {self.normalise}: that takes "
                f"'{kinds[0]}' and '{kinds[1]}', found '{magnitude.kind}' and '{angle.kind}'; give it the parameters "
                "the rows were drawn with"
            )
        if magnitude.width != angle.width:
            raise ParameterError(
                f"{self.type_name} takes as many angles as magnitudes; found {magnitude} and {angle}: take both from "
                "one node"
            )
        if magnitude.centre * magnitude.rate * picture.hop != picture.hop - picture.bins:
            raise ParameterError(
                f"{self.type_name} takes frames that end where their span ends, centred at "
                f"{picture.hop - picture.bins} samples; found {magnitude}: take them from a node that draws them so"
            )
        return (Audio(magnitude.rate * picture.hop, dtype=magnitude.dtype),)

    def lookahead(self, magnitude: Frames, angle: Frames) -> Fraction:
        return 3 / magnitude.rate

    def start(self, magnitude: Frames, angle: Frames) -> State:
        picture = self._picture(magnitude)
        over = picture.n_fft - picture.hop
        return picture, SynthesisState(np.zeros(over), over, np.zeros(picture.bins)), magnitude.dtype

    def step(self, state: State, magnitude: Array, angle: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.overlap_add import add_rows

        picture, sums, dtype = state
        over, done = len(sums.tail), len(magnitude) * picture.hop
        total = np.zeros(done + over)
        total[:over] = sums.tail
        add_rows(picture.synthesise(magnitude, angle, sums.before), picture.synthesis_window(), picture.hop, total)
        early = min(sums.early, done)
        sums.tail, sums.early = total[done:].copy(), sums.early - early
        return state, total[early:done].astype(dtype, copy=False)

    def flush(self, state: State) -> tuple[Array]:
        _, sums, dtype = state
        return (sums.tail[sums.early :].astype(dtype, copy=False),)

    def _picture(self, magnitude: Frames) -> GansynthFormat:
        normaliser = Normaliser((self.magnitude_scale, self.magnitude_shift), (self.angle_scale, self.angle_shift))
        bins = magnitude.width
        rate = float(magnitude.rate * bins / 2)
        return GansynthFormat(bins, self.drop, self.scale, self.form, normaliser if self.normalise else None, rate)
