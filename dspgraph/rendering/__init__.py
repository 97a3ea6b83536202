"""Rendering a corpus with a graph: items, jobs, executors, output files, ledger."""
