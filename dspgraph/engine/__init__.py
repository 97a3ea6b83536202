"""The engine: it runs graphs.

plan         a graph compiled into stages, made once
blocks       the cutting of a signal into blocks, and the joining of blocks
session      one signal on its way through a plan, block by block
carry        the change of a session to another graph in the middle of a signal
batch        several signals that one graph computes together
instrument   the methods that a profiler or a guard needs to watch a plan
profiler     an instrument that measures the time and memory of every node
profile      the result of the profiler, as a table and a verdict; profiles of several processes can be merged
memory       the bytes that a session holds
"""
