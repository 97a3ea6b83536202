"""Executors: they run a job on the items of a corpus in this process, in several processes, or on a Ray cluster.

An executor is a class with the method `run` of `dspgraph.rendering.job.Executor`. The command line chooses one in
`dspgraph/cli/options.py`.
"""
