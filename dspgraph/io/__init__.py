"""Files of audio, arrays and alignments. Audio and arrays are read and written block by block.

A file that is written appears when it is complete, or not at all.
"""
