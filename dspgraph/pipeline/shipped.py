"""The shipped pipelines that the framework itself runs. It knows them by name and by their outputs, not their nodes."""

VOCODER = "lpc_vocoder"
"""`dspgraph demo` compares its variants."""

PITCH = "f0"
"""The pitch metrics track pitch with it: its one output has the pitch in Hz in column 0, and 0 where unvoiced."""

RAINBOWGRAM = "rainbowgram"
"""`dspgraph plot --rainbowgram` draws its outputs `magnitude` and `advance`."""
