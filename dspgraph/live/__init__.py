"""Graphs that change while they run, and the same samples again offline.

events        what can happen: a control moves, a graph takes the place of another, a sound is played
curves        the values of a control and the samples of played sounds, as functions of the time
transition    from one graph to another
performance   a graph and its events
"""
