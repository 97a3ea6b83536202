"""Pages of the site that are not in `docs`, except those of the examples, which sphinx-gallery makes.

A page for each node and each pipeline is made from code; pages of other folders, such as README.md, are copied, with
changed links.
"""

import importlib.util
import inspect
import re
import shutil
from pathlib import Path
from textwrap import dedent

import numpy as np
import soundfile

from dspgraph import Audio, Node, registry
from dspgraph.diagram.formats import FORMATS
from dspgraph.node import Port
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.plotting.canvas import save
from dspgraph.plotting.panels import Panel, draw_panels
from dspgraph.plotting.rainbowgram import known_frequencies
from dspgraph.registry import PACK, NodeSource
from dspgraph.testing import Example
from helpers.networks import overrides

ROOT = Path(__file__).parent.parent

COPIES = {
    "README.md": "read_me",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "CHANGELOG.md": "changelog",
    **{f"pipelines/{path.name}": f"card_{path.stem}" for path in sorted((ROOT / "pipelines").glob("*.md"))},
}
"""Page outside of `docs` -> the name of its copy, without .md. The README is the first page; the pages of pipelines are
the cards of weights that come with them."""


def write_all(folder: Path) -> None:
    """Write all pages that this module makes into a folder, whose old content is removed.

    Sphinx copies the files in its subfolder `copied`, such as sounds, to the site without changes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "copied" / "sounds").mkdir(parents=True)
    for source, name in COPIES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = relinked(text, "", "" if source == "README.md" else "../")  # the first page shows the README
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    write_nodes(folder / "nodes")
    write_pipelines(folder / "pipelines")


def relinked(text: str, above: str, here: str) -> str:
    """Return the text of a page with its links changed for the site.

    Links to `docs` and to the pages in COPIES lead to their places on the site. Links to LICENSE, to CITATION.cff and
    into folders with code, examples or pipelines become plain text; all others stay. above: the relative path from the
    page to the root of the repository: "" for a page in the root, "../" for a page in `docs`. here: the relative path
    from the place of the page on the site to the root of the site: "", or "../" for a page in a folder.
    """
    text = text.replace(f"]({above}docs/", f"]({here}") if not above else text
    for source, name in COPIES.items():
        target = "index.md" if source == "README.md" else f"generated/{name}.md"
        text = text.replace(f"]({above}{source}", f"]({here}{target}")
    others = "examples|pipelines|benchmarks|tests|dspgraph|nodes|LICENSE|CITATION.cff"
    return re.sub(rf"\[([^\]]+)\]\({re.escape(above)}(?:{others})[^)]*\)", r"\1", text)


# ---- nodes ----------------------------------------------------------------------------------------------------------


def write_nodes(folder: Path) -> None:
    """Write a page for every node of dspgraph, and an index with one line for each, by domain.

    folder: where to write; it is made, and must not exist before. Pictures and sounds are written as `node_page` says.
    """
    folder.mkdir()
    sources = [one for one in registry.nodes().values() if PACK in Path(one.where).parts]
    lines = ["# Nodes", ""]
    for domain in sorted({one.domain for one in sources}):
        lines += [f"## {domain}", "", "| node | what it does |", "| --- | --- |"]
        for one in sorted((one for one in sources if one.domain == domain), key=lambda one: one.name):
            (folder / f"{one.name}.md").write_text(node_page(one, folder), encoding="utf-8")
            lines.append(f"| [`{one.name}`]({one.name}.md) | {prose(one.summary()).replace('|', chr(92) + '|')} |")
        lines.append("")
    names = "\n".join(sorted(one.name for one in sources))
    (folder / "index.md").write_text(
        "\n".join([*lines, f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"]), encoding="utf-8"
    )


def node_page(source: NodeSource, folder: Path) -> str:
    """Return the page of a node as Markdown.

    The output of the example of the node is written as a picture into `folder`, and as sounds into the folder
    copied/sounds beside `folder`, which must exist.
    """
    kind = source.load()
    return "\n\n".join(
        [
            f"# {source.name}",
            docstring(kind),
            _ports("Inputs", kind.inputs),
            _ports("Outputs", kind.outputs),
            _parameters(kind),
            *_example(source, folder),
        ]
    )


def _ports(title: str, ports: tuple[Port, ...]) -> str:
    rows = [f"| `{port.name}` | {port}{', one or more' if getattr(port, 'many', False) else ''} |" for port in ports]
    return "\n".join([f"## {title}", "", "| port | stream |", "| --- | --- |", *rows])


def _parameters(kind: type[Node]) -> str:
    rows = []
    for name, field in kind.model_fields.items():
        limits = [str(one).replace("|", "\\|") for one in field.metadata]
        default = "required" if field.is_required() else f"`{field.default!r}`"
        allowed = ", ".join(f"`{one}`" for one in limits)
        rows.append(f"| `{name}` | {default} | {prose(field.description or '')} | {allowed} |")
    if not rows:
        return "## Parameters\n\nNone."
    return "\n".join(["## Parameters", "", "| name | default | meaning | limits |", "| --- | --- | --- | --- |", *rows])


def _example(source: NodeSource, folder: Path) -> list[str]:
    """Run the first example of a node in its test file; return the paragraphs about it: call, picture, and sounds.

    There is no picture if no output has items. There are sounds of those audio outputs that have at most two channels
    and a rate that is a whole number, at least 8000 Hz. The files are written as `node_page` says.
    """
    example = next(one for one in examples(source) if one.node.type_name == source.name)
    graph = example.graph()
    found = graph(**{name: np.asarray(array) for name, array in example.arrays.items()})
    panels = [
        Panel(name, graph.outputs[name], rows, known_frequencies(graph, name))
        for name, rows in found.items()
        if len(rows)
    ]
    given = ", ".join(
        f"{name}={value!r}" for name, value in example.node if value != type(example.node).model_fields[name].default
    )
    parts = ["## Example", f"The output of `{type(example.node).__name__}({given})` for the signal of its test:"]
    if panels:
        save(draw_panels(panels, source.name), folder / f"{source.name}.png")
        parts.append(f"![the output of {source.name}]({source.name}.png)")
    for panel in panels:
        if isinstance(panel.stream, Audio) and panel.stream.rate >= 8000 and panel.stream.channels <= 2:
            rate = int(panel.stream.rate)
            if rate == panel.stream.rate:
                sound = f"sounds/{source.name}_{panel.name}.wav"
                soundfile.write(folder.parent / "copied" / sound, np.clip(panel.array, -1, 1), rate)
                parts.append(f'<audio controls src="../../{sound}"></audio>')
    return parts


def examples(source: NodeSource) -> list[Example]:
    """Execute the test file of a node, and return its EXAMPLES, of which some may be of other nodes."""
    path = ROOT / "tests" / "nodes" / source.domain / f"test_{source.name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_of_{source.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Example] = module.EXAMPLES
    return found


# ---- pipelines ------------------------------------------------------------------------------------------------------


def write_pipelines(folder: Path) -> None:
    """Write a page and a picture for every shipped pipeline, and an index with one line for each.

    The page has the text of the file without its first line, a comment for editors. folder: where to write; it is made,
    and must not exist before.
    """
    folder.mkdir()
    lines = ["# Pipelines", "", "| pipeline | what it does |", "| --- | --- |"]
    names = sorted(registry.shipped_pipelines())
    for name in names:
        pipeline = Pipeline(name, overrides(name))
        (folder / f"{name}.svg").write_text(FORMATS["svg"](pipeline.graph), encoding="utf-8")
        slots = [f"* `{slot}`: {', '.join(f'`{one}`' for one in choices)}" for slot, choices in pipeline.slots.items()]
        text = pipeline.path.read_text(encoding="utf-8").partition("\n")[2]
        page = [f"# {name}", prose(pipeline.document.about), f"![the graph of {name}]({name}.svg)"]
        page += ["## Slots and their variants", "\n".join(slots)] if slots else []
        (folder / f"{name}.md").write_text("\n\n".join([*page, "## File", f"```yaml\n{text}```"]), encoding="utf-8")
        lines.append(f"| [`{name}`]({name}.md) | {prose(pipeline.document.about)} |")
    toctree = "\n".join(["", "```{toctree}", ":hidden:", "", *names, "```", ""])
    (folder / "index.md").write_text("\n".join(lines) + "\n" + toctree, encoding="utf-8")


# ---- words ----------------------------------------------------------------------------------------------------------


def docstring(kind: type) -> str:
    """Return the docstring of a class as Markdown, in which indented blocks are shown as they are; "" without one."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(kind.__doc__ or ""))
    shown: list[str] = []
    for block in blocks:
        for part in re.split(r"(?m)((?:^ {4,}.*\n?)+)", block):
            if part.startswith("    "):
                shown.append(f"```text\n{dedent(part).strip()}\n```")
            elif part.strip():
                shown.append(prose(part.strip()))
    return "\n\n".join(shown)


def prose(text: str) -> str:
    """Return a text in which Markdown's marks are escaped, except in code between backquotes."""
    parts = text.split("`")
    return "`".join(part if k % 2 else re.sub(r"([*_\[\]<>$~#])", r"\\\1", part) for k, part in enumerate(parts))
