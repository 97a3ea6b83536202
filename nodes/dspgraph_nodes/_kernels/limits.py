"""The largest values of parameters that several nodes have.

Each is far above what recordings need. Without limits, one wrong digit in a pipeline would ask for more memory than the
machine has.
"""

MOST_HOP = 60 * 192_000
"""Samples of a hop or a delay: a minute at 192 kHz."""

MOST_LENGTH = 2**18
"""Samples of a window: 1.4 s at 192 kHz."""

MOST_POINTS = 2**16
"""Points of an FFT: 1.4 s at 48 kHz."""

MOST_RATE = 1_000_000
"""Sampling rate in Hz: five times 192 kHz."""
