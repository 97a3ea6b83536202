"""Side by side with peers: speed and memory as ratios, never in timed tests."""

import warnings

warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # by pysptk, as it is imported
