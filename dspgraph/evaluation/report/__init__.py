"""The page that shows a comparison: players, spectrograms, scores and blind tests. By default it is one file."""

from dspgraph.evaluation.report.page import write_page

__all__ = ["write_page"]
