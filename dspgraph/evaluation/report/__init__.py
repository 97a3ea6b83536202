"""The page of a comparison: players, spectrograms, scores and a blind mode. By default it is one file."""

from dspgraph.evaluation.report.page import write_page

__all__ = ["write_page"]
