"""Training of models, the networks that neural nodes run."""
