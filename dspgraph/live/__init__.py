"""Performances: graphs that events change while they run. The same events, rendered offline, give the same samples.

events        the kinds of events: a control moves, another graph is swapped in, a sound begins or stops
curves        the values of a control and the samples of played sounds, as functions of the time
transition    the fade from the outputs of one graph to those of another
performance   a running graph with its events
"""
