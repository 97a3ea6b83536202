"""Audio and array files: read and written block by block; a file is complete or does not exist."""
