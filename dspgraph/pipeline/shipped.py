"""Pipelines of dspgraph that its own code runs. The code depends on their names and outputs, not on their nodes."""

VOCODER = "lpc_vocoder"
"""The pipeline whose variants `dspgraph demo` compares."""

VOCODER_SLOT = "excitation"
"""The slot of VOCODER whose variants `dspgraph demo` compares."""

PITCH = "f0"
"""The pipeline that estimates the pitch for the metrics of pitch.

Column 0 of its only output is the pitch in Hz, or 0 in unvoiced rows. Its variables `f0_min` and `f0_max` are the
lowest and the highest pitch in Hz.
"""

PITCH_SWAP = {"pitch": "swipe"}
"""The variant of PITCH that the metrics use: it makes the fewest errors of an octave."""

RAINBOWGRAM = "rainbowgram"
"""The pipeline whose outputs `magnitude` and `advance` are drawn by `dspgraph plot --rainbowgram`."""
