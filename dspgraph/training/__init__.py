"""Training the models behind neural nodes."""
