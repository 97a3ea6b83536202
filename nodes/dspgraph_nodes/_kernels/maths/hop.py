"""The number of samples from one frame to the next, computed from the sampling rate and the frame rate."""

from fractions import Fraction


def hop_of(rate: float, rows: Fraction) -> Fraction:
    """Return the hop, rate / rows: the number of samples from the start of one row to the start of the next.

    rate: samples per second; rows: rows per second. Raises ValueError if the hop is not a whole number. The message
    begins with the parameter "rate"; the caller puts the name of the node and a dot before it.
    """
    hop = Fraction(str(rate)) / rows  # by way of str, 22050.1 becomes 220501/10, not a binary fraction near it
    if hop.denominator != 1:
        raise ValueError(
            f"rate is {rate:g} Hz; {float(rows):.6g} rows per second would be {float(hop):.6g} samples apart, and a "
            "hop is a whole number of samples: give the rate of the samples the frames were cut from"
        )
    return hop
