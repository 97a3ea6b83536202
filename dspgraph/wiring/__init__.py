"""Nodes wired into a graph and checked. Nothing runs here.

wiring       nodes, wires, inputs and outputs, checked when they are put together
binding      one node bound to the streams at its ports
duration     how long a stream lasts, compared with the inputs
latency      the delay from the inputs of a graph to its outputs
cones        hashes of nodes, each with all nodes and inputs that it takes from
merge        several graphs as one, in which common nodes occur once
provenance   the code and library versions of a graph, for its digest
"""
