"""Nodes wired into a graph and checked. Nothing runs here.

wiring       nodes, wires, inputs and outputs, checked when they are put together
binding      one node bound to the streams at its ports
duration     how long a stream lasts, compared with the inputs
latency      how much later than the inputs the outputs of a graph come
merge        several graphs as one, in which common nodes occur once
provenance   the code and library versions behind a graph, for its digest
"""
