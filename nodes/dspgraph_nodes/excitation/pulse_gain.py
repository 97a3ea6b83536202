"""Gain of pulses for a spectral envelope."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State

_JUMP = 1.1  # ratio of the pitches of two neighbouring frames above which their pulses count as irregular


def pulse_gain(
    f0: Array,
    lpc: Array,
    rate: float = 16000,
    most: float = 10.0,
    before: float = 0.0,
    first_row: int = 0,
    coef: float = 0.0,
) -> Array:
    """Return rows (f0, gain), [n, 2], in the dtype of f0 (float32 for int16). See `PulseGain` for the formula.

    f0: [n], Hz; lpc: [n, order + 1], rows (gain, a[1..order]); rate: sampling rate of the audio, Hz; most: the gain is
    limited to 1 / most .. most; before: pitch of the frame before f0[0], Hz, 0 if that frame is unvoiced or does not
    exist; coef: coefficient of a deemphasis after the filter. Raises ValueError that names the first row of lpc that
    is not a stable predictor, even if the rounding to the dtype of lpc is allowed for; first_row: the number of the row
    lpc[0] in that message.
    """
    from dspgraph_nodes._kernels.signal.harmonics import pulse_gains
    from dspgraph_nodes._kernels.signal.parcor import step_down

    earlier = np.concatenate(([before], f0[:-1])) if len(f0) else f0
    jumps = (earlier > 0) & (np.maximum(f0, earlier) > _JUMP * np.minimum(f0, earlier))
    heard = lpc.astype(np.float64)
    if coef:
        heard = np.concatenate((heard, np.zeros((len(lpc), 1))), axis=1)  # (1, a) times (1, -coef)
        heard[:, 1:] -= coef * np.concatenate((np.ones((len(lpc), 1)), lpc[:, 1:]), axis=1)
    gains = np.where(jumps, 1.0, pulse_gains(f0, heard, step_down(heard, first_row, lpc.dtype), rate, most))
    return np.stack((f0, gains), axis=1).astype(np.result_type(f0, np.float32))


class PulseGain(Node):
    """Compute the gain that makes pulses filtered by an all-pole filter as strong as white noise filtered by it.

        gain**2 = P_noise / P_pulses,    P_noise = mean of 1 / |A(f)|**2 over all f
        P_pulses = 2 * f0 / rate * sum_k 1 / |A(k * f0)|**2,    k = 1 .. floor(rate / 2 / f0)

    The output rows (f0, gain) are for `pulse_noise`. The gain is 1 in unvoiced frames, and where rate / 2 / f0 is below
    1 or above 4096. It is also 1 where the frame before is voiced too, and the higher of the two pitches is more than
    1.1 times the lower: such pulses come at irregular intervals, so their powers add up, as in noise. An unstable
    predictor raises ValueError that names its frame.

    The gain of a predictor gives white noise the power of the speech. A pulse train has power at the harmonics of its
    pitch only. Where the filter has a peak that is narrower than the pitch, such as that of a tone, pulses are too
    loud if a harmonic meets the peak, and too soft if all harmonics miss it. For speech the gain is within 2 dB
    of 1. The spectral line of the pulses at 0 Hz, which cannot be heard, does not count as power.

    Set `coef` to the coefficient of a deemphasis that follows the filter, because a deemphasis makes low sounds
    stronger. The powers are then those after the deemphasis: A in the formulas is A(z) * (1 - coef / z). If `coef` is
    left at 0 there, the power is wrong: two tones of DTMF came out of `lpc_vocoder` 2 dB too loud.

    Source: T. E. Tremain, The Government Standard Linear Predictive Coding Algorithm: LPC-10, Speech Technology, 1982,
    whose decoder gives every pitch period the RMS of the speech. Here the power is that of an infinite pulse train.
    """

    f0 = Input(Frames, "f0")
    lpc = Input(Frames, "lpc", any_centre=True)  # `allpole` and `pulse_noise` use rows for their spans, too
    pulses = Output(Frames, "pulses")

    rate: float = Field(16000, gt=0, le=1e6, description="sampling rate of the audio, Hz")
    most: float = Field(10.0, ge=1.0, le=1e6, description="highest gain; the lowest is 1 / most")
    coef: float = Field(0.0, ge=0.0, le=0.9999, description="coefficient of a deemphasis after the filter; 0: none")

    def streams(self, f0: Frames, lpc: Frames) -> tuple[Frames]:
        if f0.width != 1:
            raise ParameterError(f"pulse_gain takes one pitch per frame; found {f0}")
        return (f0.like(kind="pulses", width=2),)

    def start(self, f0: Frames, lpc: Frames) -> State:
        return 0, 0.0  # the number of frames so far, and the pitch of the last one

    def step(self, state: State, f0: Array, lpc: Array) -> tuple[State, Array]:
        seen, before = state
        rows = pulse_gain(f0[:, 0], lpc, self.rate, self.most, before, seen, self.coef)
        return (seen + len(f0), float(f0[-1, 0]) if len(f0) else before), rows
