"""The scale of 16-bit samples."""

INT16_FULL_SCALE = 32768.0  # the int16 amplitude that stands for 1.0
