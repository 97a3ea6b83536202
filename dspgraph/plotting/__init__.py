"""Figures: spectrograms, rainbowgrams, predicted distributions."""
