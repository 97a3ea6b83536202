"""Comparing variants of a pipeline: metrics, results, report."""
