"""The largest values of parameters that several nodes have.

Each is far above what recordings need. Without limits, one wrong digit in a pipeline would ask for more memory than the
machine has.
"""

MOST_HOP = 480_000
"""Samples of a hop: ten seconds at 48 kHz."""

MOST_DELAY = 60 * 192_000
"""Samples of a delay: a minute at 192 kHz."""

MOST_LENGTH = 2**16
"""Samples of a window: 1.4 s at 48 kHz."""

MOST_POINTS = 2**16
"""Points of an FFT: 1.4 s at 48 kHz."""

MOST_RATE = 1_000_000
"""Sampling rate in Hz: five times 192 kHz."""

MOST_CEPSTRUM_POINTS = 2**13
"""Points of the FFT from which a mel-cepstrum is computed: the matrix for it is made from cosines, [bins, bins]."""
