"""The largest values of parameters that several nodes have.

Each limit is far above what recordings need. Without limits, one wrong digit in a pipeline would ask for more memory
than the machine has.
"""

MOST_HOP = 480_000
"""Longest hop in samples: ten seconds at 48 kHz."""

MOST_DELAY = 60 * 192_000
"""Longest delay in samples: a minute at 192 kHz."""

MOST_LENGTH = 2**16
"""Longest window in samples: 1.4 s at 48 kHz."""

MOST_POINTS = 2**16
"""Longest FFT in points: 1.4 s at 48 kHz."""

MOST_RATE = 1_000_000
"""Highest sampling rate in Hz: about five times 192 kHz."""

MOST_CEPSTRUM_POINTS = 2**13
"""Longest FFT, in points, for a mel-cepstrum, which is computed with a matrix of cosines [bins, bins]."""
