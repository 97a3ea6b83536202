"""Rates of samples and of the rows made of them."""

from fractions import Fraction


def hop_of(rate: float, rows: Fraction) -> Fraction:
    """Samples at `rate` Hz from one row to the next, of `rows` per second; ValueError where that is no whole number."""
    hop = Fraction(str(rate)) / rows  # a decimal is what was written: 22050.5 exactly
    if hop.denominator != 1:
        raise ValueError(
            f"rate is {rate:g} Hz; {float(rows):.6g} rows per second would be {float(hop):.6g} samples apart, and a "
            "hop is a whole number of them: give the rate of the samples the frames were cut from"
        )
    return hop
