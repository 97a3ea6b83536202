"""Audio that a notebook shows as a player."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from dspgraph.errors import SignalError
from dspgraph.streams import Array, Number, first_bad_item, to_fraction


@dataclass(frozen=True, repr=False)
class Sound:
    """Samples that a notebook shows as a player: `Sound(graph(x)["speech"], 16000)`.

    samples: floats, [n] or [n, channels], full scale +-1; the player clips samples beyond. rate: a whole number of
    samples per second. Raises SignalError for samples of another shape or type, for samples that are not finite, and
    for a rate that is not a positive whole number; ParameterError for a rate that is no number.
    """

    samples: Array
    rate: Number

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.dtype.kind != "f" or samples.ndim not in (1, 2):
            raise SignalError(
                f"a sound takes floats [n] or [n, channels], full scale +-1; found {samples.dtype} {samples.shape}"
            )
        if (bad := first_bad_item(samples)) is not None:
            raise SignalError(f"a sound takes finite samples; found one that is not, at {bad}")
        if to_fraction(self.rate).denominator != 1 or to_fraction(self.rate) <= 0:
            raise SignalError(f"a sound takes a whole number of samples per second; found {self.rate}: resample first")

    def __repr__(self) -> str:
        return f"<Sound: {len(self.samples) / float(to_fraction(self.rate)):.2f} s at {self.rate} Hz>"

    def _repr_html_(self) -> str:
        """Return an HTML element <audio> that contains the samples, clipped to +-1, as a WAV file of 16 bits."""
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, np.clip(self.samples, -1, 1), int(to_fraction(self.rate)), format="WAV", subtype="PCM_16")
        data = base64.b64encode(file.getvalue()).decode()
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
