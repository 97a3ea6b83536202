"""Benchmarks of speed and memory, mostly in comparison with other programs (peers). They are not part of the tests."""

import warnings

warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # pysptk causes this warning when it is imported
