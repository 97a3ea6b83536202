"""Graphs as text and pictures: plain text, Mermaid, Graphviz, SVG."""
