"""Executors: how the items of a corpus are shared out, in one process, among several, or on a Ray cluster.

An executor is a class with the method `run` of `dspgraph.rendering.job.Executor`. The command line chooses one in
`dspgraph/cli/options.py`.
"""
