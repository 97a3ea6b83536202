"""Figures: spectrograms, rainbowgrams, and distributions that a model predicts."""
