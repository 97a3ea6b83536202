"""Audio and array files, written whole or not at all."""
