"""Rendering a corpus with a graph: inputs, jobs, executors, ledger."""
