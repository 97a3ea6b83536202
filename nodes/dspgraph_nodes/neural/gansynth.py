"""Notes by GANSynth."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Field, File, Frames, Input, Node, Output, ParameterError, State, Stream, Symbols
from dspgraph_nodes._kernels.signal.gansynth import ANGLE_KINDS, MAGNITUDE_KINDS, GansynthLayout, Normaliser

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.gansynth_generator import PackedGenerator
    from dspgraph_nodes.models.gansynth.config import Config
    from dspgraph_nodes.models.shared.cached import WeightsFile


class Gansynth(Node):
    """Generate a note from a latent vector and a pitch, as rows of log magnitude and angle.

    The input of the network is a vector of the latent numbers and the one-hot code of the pitch. Its convolutions make
    a small picture from the vector, then pictures with twice as many rows and bins, up to the picture of the whole
    note. The rows are normalised, between -1 and 1; `inverse_gansynth_spectrogram` turns them into audio, with the
    `drop`, `scale` and `form` that the weights were trained with, and `normalise: true`.

    Row k of `latent` and symbol k of `pitch` describe note k. A pitch is the number of semitones above the lowest pitch
    of the network. A note of the published network has 128 rows of 1024 bins, 4.096 s at 16 kHz, and the published
    latent vectors are drawn from N(0, 1). Notes do not depend on each other. The bits of a note are the same on all
    machines.

    Source: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; magenta,
    models/gansynth/lib/networks.py.
    """

    latent = Input(Frames, "latent")
    pitch = Input(Symbols, "pitch")
    magnitude = Output(Frames, *(kind for kind in MAGNITUDE_KINDS if kind.startswith("scaled_")))
    angle = Output(Frames, *(kind for kind in ANGLE_KINDS if kind.startswith("scaled_")))

    weights: File | None = Field(None, description="weights of the network, a safetensors file")

    @cached_property
    def _file(self) -> "WeightsFile[Config, PackedGenerator]":
        from dspgraph_nodes.models.gansynth.weights import WEIGHTS
        from dspgraph_nodes.models.shared.cached import WeightsFile

        return WeightsFile(WEIGHTS, _packed, "gansynth.weights", self.weights)

    @property
    def lowest_pitch(self) -> int:
        """The MIDI number of the pitch 0."""
        return self._file.config.lowest

    @property
    def latent_draws(self) -> tuple[Array, Array]:
        """The means and the standard deviations, [latent] each, of latent numbers in training; 0 and 1 if unknown."""
        c = self._file.config
        return np.array(c.latent_means or (0.0,) * c.latent), np.array(c.latent_deviations or (1.0,) * c.latent)

    def takes(self) -> Mapping[str, Stream]:
        config = self._file.config
        rate = Fraction(config.rate, config.hop * config.rows)
        return {"latent": Frames(rate, "latent", config.latent), "pitch": Symbols(rate, "pitch", config.pitches)}

    def streams(self, latent: Frames, pitch: Symbols) -> tuple[Frames, Frames]:
        config = self._file.config
        if latent.width != config.latent:
            raise ParameterError(
                f"gansynth.weights were trained with latent vectors of {config.latent} numbers; found {latent}"
            )
        if pitch.size != config.pitches:
            raise ParameterError(
                f"gansynth.weights know {config.pitches} pitches, from MIDI {config.lowest} on; found {pitch}: give "
                f"symbols of {config.pitches} levels"
            )
        seconds = Fraction(config.hop * config.rows, config.rate)
        if not latent.rate == pitch.rate == 1 / seconds:
            raise ParameterError(
                f"a note of gansynth.weights lasts {float(seconds):g} s ({config.rows} rows, a hop of {config.hop} at "
                f"{config.rate} Hz); found {latent} and {pitch}: give both at the rate 1/{seconds}"
            )
        layout = GansynthLayout(
            config.bins, config.drop, config.scale, config.form, Normaliser(config.magnitude, config.angle), config.rate
        )
        rows = Frames(
            Fraction(config.rate, config.hop), layout.magnitude_kind, config.bins,
            Fraction(-config.hop, config.rate), dtype=latent.dtype,
        )  # fmt: skip
        return rows, rows.like(kind=layout.angle_kind)

    def start(self, latent: Frames, pitch: Symbols) -> State:
        self._file.begin_signal()
        return None

    def step(self, state: State, latent: Array, pitch: Array) -> tuple[State, Array, Array]:
        from dspgraph_nodes._kernels.neural.gansynth_generator import generate

        config, network = self._file.config, self._file.packed
        rows = np.empty((2, len(latent) * config.rows, config.bins), latent.dtype)
        for k, (vector, number) in enumerate(zip(latent, pitch, strict=True)):
            rows[:, k * config.rows : (k + 1) * config.rows] = generate(network, vector, int(number))
        return state, rows[0], rows[1]


def _packed(config: "Config", arrays: Mapping[str, Array]) -> "PackedGenerator":
    from dspgraph_nodes._kernels.neural.gansynth_generator import pack

    return pack(arrays)
