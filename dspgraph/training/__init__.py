"""Training of the models behind neural nodes."""
