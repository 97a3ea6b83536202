"""The engine: it runs graphs.

plan         a graph compiled into stages, made once
session      one signal on its way through a plan, block by block
carry        another graph in the middle of a signal
batch        several signals stepped together
instrument   the methods that a profiler or a guard needs to watch a plan
profiler     an instrument that measures the time and memory of every node
profile      the result of the profiler, as a table and a verdict; profiles of several processes can be merged
memory       the bytes that a session holds
"""
