"""Figures: spectrograms, rainbowgrams, distributions that a model predicts, and studies of distributions by phone."""
