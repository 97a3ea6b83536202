"""The sizes of models: the lines of code of each model, in its folder, its kernels and its nodes, are counted."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACK = ROOT / "nodes" / "dspgraph_nodes"
MOST = {"lpcnet": 1400, "wavenet": 900, "wavernn": 900, "gansynth": 900, "wavenet_autoencoder": 900, "fargan": 1020}
"""Each model has fewer lines of code than this. A model that needs more shares too little with the others.

lpcnet and fargan may have more than the others: their gradients are written out, for training on a CPU.
"""

NODES = {"wavenet_autoencoder": ["wavenet_encoder", "wavenet_decoder"]}
"""Model -> the names of its nodes; by default one node of the same name."""


def own(model: str) -> list[Path]:
    """Return the files of one model: its folder, its kernels and its nodes."""
    kernels = (PACK / "_kernels" / "neural").glob(f"{model}_*.py")
    nodes = [path for name in NODES.get(model, [model]) if (path := PACK / "neural" / f"{name}.py").is_file()]
    return sorted([*(PACK / "models" / model).glob("*.py"), *kernels, *nodes])


def lines_of_code(text: str) -> int:
    """Return the number of lines with code, without comments, docstrings and empty lines."""
    texts = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            texts |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - texts)


def test_lines_are_counted_as_they_read() -> None:
    assert (
        lines_of_code('"""About."""\n\n# why\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """Do."""\n    return x\n')
        == 5
    )


@pytest.mark.parametrize("model", MOST)
def test_a_model_is_short(model: str) -> None:
    counts = {path.relative_to(PACK).as_posix(): lines_of_code(path.read_text()) for path in own(model)}
    assert sum(counts.values()) < MOST[model], counts
