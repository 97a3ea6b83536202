"""The JSON Schema of pipeline files, for editors. It has all nodes that can be loaded, with ports and parameters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dspgraph import registry
from dspgraph.node import Node
from dspgraph.parameters import field_rule
from dspgraph.pipeline.document import (
    NAME,
    AudioInput,
    ControlInput,
    Document,
    FramesInput,
    PortInput,
    SymbolsInput,
    describe_key,
)
from dspgraph.pipeline.file_values import FILE


def schema(plugins: Iterable[str | Path] = ()) -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file. Editors use it to complete the names of nodes, parameters and ports.

    plugins: Python files with nodes. A node that cannot be loaded is left out. The schema has looser rules for a file
    that extends another file: sections may be missing, an entry may have only the keys that change, and null removes an
    entry.
    """
    document = Document.model_json_schema()
    properties, defs = document["properties"], document["$defs"]
    kinds = dict(sorted(registry.load_all(plugins).items()))
    for model in (AudioInput, FramesInput, SymbolsInput, ControlInput, PortInput):
        own = defs[model.__name__]
        own["properties"] = {key: _or_var(rule) for key, rule in own["properties"].items()}
    for rule in defs[AudioInput.__name__]["properties"].values():
        rule["anyOf"].append({"const": FILE})
    defs |= {f"node.{name}": _entry(name, kind) for name, kind in kinds.items()}
    defs["entry"] = {"anyOf": [*(_ref(f"node.{name}") for name in kinds), _ref("PipelineEntry")]}
    anew = [{"required": ["node"]}, {"required": ["pipeline"]}]
    part = {
        "type": "object",
        "description": "the keys that change in the entry of the extended file",
        "not": {"anyOf": anew},
    }
    defs["change"] = {
        "anyOf": [_ref("entry"), part, {"type": "null", "description": "removes the entry of the extended file"}]
    }
    whole = {
        "inputs": properties["inputs"] | {"additionalProperties": False},
        "nodes": _named(_ref("entry"), "object") | {"minProperties": 1},
        "outputs": properties["outputs"] | {"additionalProperties": False},
        "variants": _named(_named(_ref("entry"), "object"), "object", "null"),
    }
    partial = {
        "inputs": _named({"type": ["object", "null"]}, "object", "null"),
        "nodes": _named(_ref("change"), "object", "null"),
        "outputs": _named({"type": ["string", "null"]}, "object", "null"),
        "variants": _named(_named(_ref("change"), "object", "null"), "object", "null"),
        "vars": {"type": ["object", "null"]},
        "precision": _or_var(properties["precision"]),
        "seed": _or_var(properties["seed"]),
    }
    for key, rule in partial.items():
        properties[key] = rule | {"description": describe_key(key)}
    needed = document.pop("required")
    extending = {"required": ["extends"], "properties": {"extends": {"type": "string"}}}
    document |= {"if": extending, "else": {"required": needed, "properties": whole}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def _entry(name: str, kind: type[Node]) -> dict[str, Any]:
    """Return the JSON Schema of an entry of `nodes` with the node `name`.

    It requires the input ports of the node, and allows its parameters and nothing else. name, kind: the name and the
    class of the node.
    """
    own = kind.model_json_schema(ref_template=f"#/$defs/node.{name}/$defs/{{model}}")
    one = {"type": "string", "description": "the node, port or input that this port takes from"}
    ports = {
        port.name: {"anyOf": [one, {"type": "array", "items": one}]} if port.many else one | {"title": str(port)}
        for port in kind.inputs
    }
    parameters = {
        key: _or_var(rule) | {"description": f"{rule.get('description', '')}: {field_rule(rule)}".strip(": ")}
        for key, rule in own.get("properties", {}).items()
    }
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().partition("\n")[0],
        "properties": {"node": {"const": name}, **ports, **parameters},
        "required": ["node", *ports],
        "additionalProperties": False,
    } | ({"$defs": own["$defs"]} if "$defs" in own else {})


def _or_var(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that accepts every value that `rule` accepts, and every text with "${" in it."""
    about = {"description": rule["description"]} if "description" in rule else {}
    return {"anyOf": [rule, {"type": "string", "pattern": r"\$\{"}], **about}


def _named(rule: dict[str, Any], *types: str) -> dict[str, Any]:
    return {"type": list(types), "propertyNames": {"pattern": f"^{NAME}$"}, "additionalProperties": rule}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}
