"""The hop that follows from a sampling rate and a frame rate."""

from fractions import Fraction


def hop_of(rate: float, rows: Fraction) -> Fraction:
    """Return the samples at `rate` Hz from one row to the next, at `rows` rows per second.

    Raises ValueError if that is not a whole number.
    """
    hop = Fraction(str(rate)) / rows  # str keeps the decimal that was written: 22050.5 exactly
    if hop.denominator != 1:
        raise ValueError(
            f"rate is {rate:g} Hz; {float(rows):.6g} rows per second would be {float(hop):.6g} samples apart, and a "
            "hop is a whole number of samples: give the rate of the samples the frames were cut from"
        )
    return hop
