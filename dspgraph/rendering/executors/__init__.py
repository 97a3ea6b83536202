"""Executors: how the items of a corpus are shared among workers, in one process, in several, or on a Ray cluster."""
