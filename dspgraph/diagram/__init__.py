"""Diagrams of graphs: plain text, Mermaid, Graphviz, SVG."""
