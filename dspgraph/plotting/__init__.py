"""Figures: spectrograms, rainbowgrams, distributions that a model predicts, and the phone study of these."""
