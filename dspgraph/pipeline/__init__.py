"""Pipelines: YAML files that describe graphs."""
