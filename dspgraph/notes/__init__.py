"""Scores, and how a pipeline that makes single notes plays them."""
