"""Audio and array files, read and written block by block. A file appears when it is complete, or not at all."""
