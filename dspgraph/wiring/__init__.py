"""Nodes wired into a graph and checked. Nothing runs here.

wiring       nodes, wires, inputs and outputs, checked when they are put together
binding      one node bound to the streams at its ports
latency      how long the outputs of a graph lag behind its inputs
merge        several graphs in one, with their common nodes once
provenance   the code and library versions behind a graph, for its digest
"""
