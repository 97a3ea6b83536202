"""Comparison of variants of a pipeline: metrics, results, and a page with players and tables."""
