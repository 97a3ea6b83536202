"""The scale factor between 16-bit samples and samples of full scale +-1, and the floor of LPCNet's Bark bands."""

INT16_FULL_SCALE = 32768.0  # the int16 amplitude that stands for 1.0

LPCNET_FLOOR = 1e-2  # LPCNet adds it to the energy of every Bark band, in the scale of 16-bit samples
