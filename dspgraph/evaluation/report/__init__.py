"""The page of a comparison: players, spectrograms, scores and a blind mode, in one file that loads nothing else."""

from dspgraph.evaluation.report.page import write_page

__all__ = ["write_page"]
