"""Executors: how the items of a corpus are shared out, in one process, among several, or on a Ray cluster."""
