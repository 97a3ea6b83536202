"""The engine: it runs graphs.

plan         a graph compiled into stages, made once
session      one signal on its way through a plan, block by block
batch        several signals stepped together
instrument   what a profiler or a guard must provide to watch a plan
profiler     an instrument that measures what every node costs
profile      the result: a table and a verdict; profiles of several processes can be merged
memory       the bytes that a session holds
"""
