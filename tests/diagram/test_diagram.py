"""The diagrams of `dspgraph show`: they are complete and valid, and nothing in a drawing overlaps.

The nodes of this file are only drawn: they have no `step`, so that they cannot run.
"""

import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from dspgraph import Audio, Field, Frames, Input, Node, Output, Stream, Symbols, load
from dspgraph.diagram.formats import FORMATS
from dspgraph.diagram.graphviz import dot
from dspgraph.diagram.mermaid import mermaid
from dspgraph.diagram.svg import _DARK, _LIGHT, svg
from dspgraph.diagram.text import text
from dspgraph.graph import Graph

SVG = "{http://www.w3.org/2000/svg}"
SPEECH = {"speech": Audio(Fraction(16000))}


class Weigh(Node):
    """Multiply samples by a weight."""

    x = Input(Audio)
    y = Output(Audio)

    weight: float = Field(1.0, ge=0.0, description="what every sample is multiplied by")
    label: str = ""


class Total(Node):
    """Add signals."""

    x = Input(Audio, many=True)
    y = Output(Audio)


class Window(Node):
    """Cut a signal into frames."""

    x = Input(Audio)
    wave = Output(Frames, "wave")

    hop: int

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / self.hop, "wave", 2 * self.hop, self.hop / x.rate / 2, x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        return self.hop / x.rate / 2


class Transform(Node):
    """Compute complex spectra."""

    wave = Input(Frames, "wave")
    spectrum = Output(Frames, "spectrum")

    def streams(self, wave: Frames) -> tuple[Stream, ...]:
        return (wave.like(kind="spectrum", width=wave.width // 2 + 1, dtype="complex128"),)


class Track(Node):
    """Track the pitch, for which the whole signal is needed."""

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / self.hop, "f0", 1, self.hop / x.rate / 2, x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf


class Halves(Node):
    """Convert a signal to codes, in two halves."""

    x = Input(Audio)
    coarse = Output(Symbols, "coarse")
    fine = Output(Symbols, "fine")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return Symbols(x.rate, "coarse", 16), Symbols(x.rate, "fine", 8)


class Join(Node):
    """Convert two halves of codes to a signal."""

    coarse = Input(Symbols, "coarse")
    fine = Input(Symbols, "fine")
    y = Output(Audio)

    def streams(self, coarse: Symbols, fine: Symbols) -> tuple[Stream, ...]:
        return (Audio(coarse.rate),)


class Voice(Node):
    """Make speech from spectra and pitch."""

    spectrum = Input(Frames, "spectrum")
    f0 = Input(Frames, "f0")
    y = Output(Audio)

    def streams(self, spectrum: Frames, f0: Frames) -> tuple[Stream, ...]:
        return (Audio(Fraction(16000)),)


def chain(n: int) -> Graph:
    nodes = {f"stage_{k}": Weigh(weight=k / 10) for k in range(n)}
    wires = {f"stage_{k}.x": f"stage_{k - 1}" if k else "speech" for k in range(n)}
    return Graph(nodes, wires, SPEECH, {"out": f"stage_{n - 1}"})


def vocoder() -> Graph:
    """Return a graph with many kinds of wires and nodes that a diagram shows; `nested` has further kinds.

    It has an output with several wires, an input with several wires, wires that skip layers, two rates, a node that
    needs the whole signal, and a node that never runs.
    """
    nodes: dict[str, Node] = {
        "pre": Weigh(weight=0.5), "frames": Window(hop=160), "spectra": Transform(), "pitch": Track(hop=160),
        "voice": Voice(), "spare": Weigh(), "sum": Total(),
    }  # fmt: skip
    wires = {
        "pre.x": "speech", "frames.x": "pre", "spectra.wave": "frames", "pitch.x": "speech", "voice.f0": "pitch",
        "voice.spectrum": "spectra", "spare.x": "pre", "sum.x": ["voice", "pre", "speech"],
    }  # fmt: skip
    return Graph(nodes, wires, SPEECH, {"out": "sum", "envelope": "spectra"}, seed=7)


def nested() -> Graph:
    """Return a graph with pipelines used as nodes, one inside another, and with a node that has two outputs."""
    nodes: dict[str, Node] = {
        "codec/halves": Halves(),
        "codec/inner/join": Join(),
        "codec/join": Join(),
        "sum": Total(),
    }
    wires = {
        "codec/halves.x": "speech", "codec/inner/join.coarse": "codec/halves.coarse",
        "codec/inner/join.fine": "codec/halves.fine", "codec/join.coarse": "codec/halves.coarse",
        "codec/join.fine": "codec/halves.fine", "sum.x": ["codec/inner/join", "codec/join"],
    }  # fmt: skip
    return Graph(nodes, wires, SPEECH, {"out": "sum", "fine": "codec/halves.fine"})


def tangle(n: int, seed: int) -> Graph:
    """Return a random graph of n nodes, each with one to three wires from the last eight streams before it.

    The first stream is the input. The first nodes have fewer streams before them. Several wires of a node may come from
    one stream.
    """
    draw, names = random.Random(seed), ["speech"]
    wires = {}
    for k in range(n):
        wires[f"n{k}.x"] = [draw.choice(names[-8:]) for _ in range(draw.randint(1, 3))]
        names.append(f"n{k}")
    outputs = {"a": f"n{n - 1}", "b": f"n{n // 2}", "c": "speech"}
    return Graph({f"n{k}": Total() for k in range(n)}, wires, SPEECH, outputs)


GRAPHS: dict[str, Graph] = {
    "wire": Graph({}, {}, SPEECH, {"out": "speech"}),
    "chain": chain(10),
    "vocoder": vocoder(),
    "tapped": vocoder().expose_all(),
    "nested": nested(),
    **{f"tangle_{seed}": tangle(24, seed) for seed in range(4)},
}

every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())


def wires_of(graph: Graph) -> Counter[tuple[str, str]]:
    """Count the wires of a graph, except those of nodes that never run.

    Returns a count for each pair (origin, target). The origin is named as in a pipeline file; the target is "node.port"
    or the name of an output.
    """
    found = Counter(
        (origin, f"{name}.{port.name}") for name in graph.order for port, origin in graph.sources(name)
    ) + Counter((origin, name) for name, origin in graph.origins.items())
    return Counter({(short(graph, origin), to): n for (origin, to), n in found.items()})


def short(graph: Graph, origin: str) -> str:
    name = origin.rpartition(".")[0]
    return name if name in graph.nodes and len(graph.nodes[name].outputs) == 1 else origin


# ---- nothing is missing ---------------------------------------------------------------------------------------------


@every_graph
def test_the_text_has_every_node_and_wire(graph: Graph) -> None:
    found: Counter[tuple[str, str]] = Counter()
    rows, name, to, more = [], "", "", False
    for line in text(graph).split("\n\n")[0].splitlines():
        name = line.split()[0] if line[0] != " " else name
        rows += [name] if line[0] != " " else []
        port, arrow, origins = line.rpartition("<- ")
        if arrow:
            own = port.split()[-1]
            to = name if port.split()[:2] == [name, "output"] else f"{name}.{own}"
        elif not (more and "->" not in line and "lookahead" not in line):
            more = False
            continue
        listed = (origins if arrow else line).split(", ")
        found.update((one.strip(" ,"), to) for one in listed)
        more = listed[-1].endswith(",")
    assert rows == [*graph.inputs, *graph.order, *graph.outputs]
    assert found == wires_of(graph)


def drawn(lines: str, declared: str, wired: str) -> tuple[dict[str, str], Counter[tuple[str, str]]]:
    """Return the boxes and wires of a Mermaid or dot file: box -> label, and (box, box) -> number of wires.

    lines: the text of the file; declared, wired: the regular expressions of a box and of a wire, with two groups each.
    """
    return dict(re.findall(declared, lines, re.M)), Counter(re.findall(wired, lines))


@every_graph
@pytest.mark.parametrize(
    ("form", "declared", "wired", "line"),
    [
        (mermaid, r'^ +(n\d+)[(\[]+"(.*?)"', r"(n\d+) -->.*\| (n\d+)", "<br/>"),
        (dot, r'^ +(n\d+) \[label="(.*?)"', r"(n\d+) -> (n\d+)", "\\n"),
    ],
    ids=["mermaid", "dot"],
)
def test_mermaid_and_dot_have_every_node_and_wire(
    graph: Graph, form: Any, declared: str, wired: str, line: str
) -> None:
    labels, wires = drawn(form(graph), declared, wired)
    names = [*graph.inputs, *graph.order, *graph.outputs]
    assert [label.split(line)[0] for label in labels.values()] == sorted_by_number(labels, names)
    box = {f"n{k}": name for k, name in enumerate(names)}
    expected = Counter[tuple[str, str]]()
    for (origin, to), n in wires_of(graph).items():
        tail = origin if origin in names else origin.rpartition(".")[0]
        expected[tail, to if to in graph.outputs else to.rpartition(".")[0]] += n
    assert Counter((box[tail], box[head]) for tail, head in wires.elements()) == expected


def sorted_by_number(labels: Mapping[str, str], names: list[str]) -> list[str]:
    """Return the names that the boxes should have, without the names of groups, in the order of `labels`.

    labels: box -> label, where box number 3 is called, for instance, "n3"; names: the name of each box number.
    """
    return [re.sub(r"^(\w+/)+", "", names[int(number[1:])]) for number in labels]


@every_graph
def test_the_svg_has_every_node_and_wire(graph: Graph) -> None:
    root = ElementTree.fromstring(svg(graph))
    assert [box.get("data-name") for box in boxes_in(root)] == [*graph.inputs, *graph.order, *graph.outputs]
    assert Counter((wire.get("data-from"), wire.get("data-to")) for wire in wires_in(root)) == wires_of(graph)


def test_a_node_that_never_runs_is_named_and_not_drawn() -> None:
    graph = vocoder()
    assert graph.unused == ("spare",)
    assert re.search(r"^idle +spare$", text(graph), re.M)
    assert [box for box in boxes_in(ElementTree.fromstring(svg(graph))) if box.get("data-name") == "spare"] == []
    assert "spare" not in mermaid(graph) + dot(graph)


# ---- the text -------------------------------------------------------------------------------------------------------


def test_the_text_of_a_vocoder_reads_as_written_here() -> None:
    graph = vocoder()
    expected = """\
speech    input                                   -> Audio            16000 Hz
pre       weigh weight=0.5               x        <- speech
                                         y        -> Audio            16000 Hz
pitch     track hop=160                  x        <- speech
                                         f0       -> Frames f0          100 Hz    1 wide  centre 5 ms
                                                     holds the whole signal
frames    window hop=160                 x        <- pre
                                         wave     -> Frames wave        100 Hz  320 wide  centre 5 ms
                                                     lookahead 5 ms
spectra   transform                      wave     <- frames
                                         spectrum -> Frames spectrum    100 Hz  161 wide  centre 5 ms  complex
voice     voice                          spectrum <- spectra
                                         f0       <- pitch
                                         y        -> Audio            16000 Hz
sum       total                          x        <- voice, pre, speech
                                         y        -> Audio            16000 Hz
out       output                                  <- sum
envelope  output                                  <- spectra

latency       the whole signal, through pitch
whole signal  held by pitch; voice, sum must wait for it
queued        spectra for voice.spectrum, pre for sum.x, speech for sum.x, until then
idle          spare
dtype         float64
seed          7
digest        """
    assert text(graph) == expected + graph.digest[:12]


@every_graph
def test_the_text_is_at_most_110_wide(graph: Graph) -> None:
    assert max(map(len, text(graph).splitlines())) <= 110


def test_a_parameter_however_long_stays_in_its_column() -> None:
    node = Weigh(label="a_folder_with_a_long_name/" * 9)
    shown = text(Graph({"a": node}, {"a.x": "speech"}, SPEECH, {"out": "a"}))
    assert max(map(len, shown.splitlines())) <= 110
    assert re.search(r"label=a_folder_\w*\.\.\.", shown)


def test_only_parameters_that_differ_from_their_defaults_are_shown() -> None:
    graph = Graph(
        {"a": Weigh(weight=1.0), "b": Weigh(weight=0.25)}, {"a.x": "speech", "b.x": "a"}, SPEECH, {"out": "b"}
    )
    for form in FORMATS.values():
        assert re.findall(r"weight=[\d.]+\d", form(graph)) in (["weight=0.25"], ["weight=0.25"] * 2)  # tip and label


def test_a_stream_in_another_precision_is_named_where_it_is() -> None:
    inputs: dict[str, Stream] = {"speech": Audio(Fraction(16000)), "old": Audio(Fraction(16000), 2, "float32")}
    inputs |= {"codes": Symbols(Fraction(16000), "coarse", 16, "float32")}
    shown = text(Graph({"a": Weigh()}, {"a.x": "speech"}, inputs, {"out": "a"}))
    assert re.search(r"^old .* Audio +16000 Hz  2 channels  float32$", shown, re.M)
    assert re.search(r"^codes .* Symbols coarse  16000 Hz +16 levels  for float32$", shown, re.M)
    assert re.search(r"^dtype +float64$", shown, re.M)


# ---- nothing is broken ----------------------------------------------------------------------------------------------

HOSTILE = '"]); </text><script>1</script>&#x; \\N \\" `<!--|{}'


@pytest.fixture
def hostile() -> Graph:
    nodes = {"a": Weigh(label=HOSTILE), "b": Weigh(label="one\ntwo\x00\x1b[31m")}
    return Graph(nodes, {"a.x": "speech", "b.x": "a"}, SPEECH, {"out": "b"})


def test_a_hostile_parameter_is_only_text_in_the_svg(hostile: Graph) -> None:
    drawing = svg(hostile)
    root = ElementTree.fromstring(drawing)
    assert [one.tag for one in root.iter() if "script" in one.tag] == []
    assert f"a: weigh label={HOSTILE}" in [title.text for title in root.iter(f"{SVG}title")]
    assert 'b: weigh label="one\\ntwo\\u0000\\u001b[31m"' in [title.text for title in root.iter(f"{SVG}title")]


def test_a_hostile_parameter_cannot_leave_its_mermaid_label(hostile: Graph) -> None:
    label = re.search(r'^  n1\["(.*)"\]$', mermaid(hostile), re.M)
    assert label
    assert not set('"`<>&|{}[]\\') & set(label[1].replace("<br/>", ""))
    restored = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label[1])
    assert restored == f"a<br/>weigh<br/>label={HOSTILE}"


def test_a_hostile_parameter_cannot_leave_its_dot_label(hostile: Graph) -> None:
    label = re.search(r'^  n1 \[label="((?:[^"\\]|\\.)*)"\]$', dot(hostile), re.M)
    assert label
    restored = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), label[1])
    assert restored == f"a\nweigh\nlabel={HOSTILE}"


def test_no_format_lets_control_characters_through(hostile: Graph) -> None:
    for form in FORMATS.values():
        assert {c for c in form(hostile) if not c.isprintable()} <= {"\n"}


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ATTRIBUTES = rf"\w+=(?:{_QUOTED}|\w+)(?:, \w+=(?:{_QUOTED}|\w+))*"
_DOT_LINE = rf"(?:rankdir=LR|(?:node|edge|n\d+|n\d+ -> n\d+) \[{_ATTRIBUTES}\]|subgraph \w+ \{{ label={_QUOTED}|\}})"
_MERMAID_LINE = (
    r'(?:subgraph g\d+\["[^"\n]*"\]|end|n\d+ -->\|"[^"\n]*"\| n\d+'
    r'|n\d+(?:\["[^"\n]*"\]|\(\["[^"\n]*"\]\)|\[\["[^"\n]*"\]\]))'
)


@every_graph
def test_every_line_of_dot_and_mermaid_is_a_whole_statement(graph: Graph) -> None:
    head, *lines, end = dot(graph).splitlines()
    assert (head, end) == ("digraph dspgraph {", "}")
    assert [line for line in lines if not re.fullmatch(rf" +{_DOT_LINE}", line)] == []
    head, *lines = mermaid(graph).splitlines()
    assert head == "flowchart LR"
    assert [line for line in lines if not re.fullmatch(rf" +{_MERMAID_LINE}", line)] == []


@pytest.mark.skipif(shutil.which("dot") is None and os.environ.get("CI") != "true", reason="Graphviz is not installed")
def test_graphviz_takes_the_dot(hostile: Graph) -> None:
    for graph in (hostile, nested()):
        subprocess.run(["dot", "-Tplain"], input=dot(graph), text=True, check=True, capture_output=True)


def test_pipelines_that_stand_as_nodes_are_frames_in_frames() -> None:
    assert outline(mermaid(nested()), r'subgraph \w+\["(\w+)"\]|n\d+[(\[]+"(\w+)<|(end)') == (
        ["speech", ["codec", "halves", ["inner", "join"], "join"], "sum", "out", "fine"]
    )
    assert outline(dot(nested()), r'subgraph \w+ { label="(\w+)"|n\d+ \[label="(\w+)\\n|^ +(})') == (
        ["speech", ["codec", "halves", ["inner", "join"], "join"], "sum", "out", "fine"]
    )


def outline(lines: str, pattern: str) -> list[Any]:
    stack: list[list[Any]] = [[]]
    for group, name, end in re.findall(pattern, lines, re.M):
        if group:
            stack[-1].append([group])
            stack.append(stack[-1][-1])
        elif name:
            stack[-1].append(name)
        elif end:
            stack.pop()
    return stack[0]


@every_graph
def test_the_svg_stands_alone_and_has_a_title(graph: Graph) -> None:
    drawing = svg(graph)
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == f"Signal graph from speech to {', '.join(graph.outputs)}"
    assert re.findall(r"https?://[^\"']*", drawing) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|url\(|<script|<image|<use|href", drawing)


def test_a_wire_tells_its_whole_stream() -> None:
    root = ElementTree.fromstring(svg(vocoder()))
    tips = [wire.findtext(f"{SVG}title") for wire in wires_in(root)]
    assert "spectra to voice.spectrum, Frames spectrum, 100 Hz, 161 wide, centre 5 ms, complex" in tips


def test_a_node_that_holds_the_whole_signal_is_marked() -> None:
    root = ElementTree.fromstring(svg(vocoder()))
    assert [box.get("data-name") for box in boxes_in(root) if "holds" in str(box.get("class"))] == ["pitch"]
    assert re.search(r'\[\["pitch<', mermaid(vocoder()))
    assert re.search(r'"pitch\\n[^"]*", peripheries=2\]', dot(vocoder()))


@pytest.mark.slow
@pytest.mark.process
def test_two_runs_give_the_same_files() -> None:
    """Two interpreters that hash strings differently make the same diagrams, so no order depends on a set."""
    code = f"import runpy; g = runpy.run_path({__file__!r}); print(*(f(x) for f in g['FORMATS'].values() for x in g['GRAPHS'].values()))"
    runs = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True,
                       capture_output=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(runs) == 1
    assert len(runs.pop()) > 10_000  # not two empty files


def test_importing_the_diagrams_loads_no_plotting() -> None:
    code = "import sys, dspgraph.diagram.formats; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"matplotlib", "networkx", "scipy"} & set(loaded)


# ---- nothing lies over anything else --------------------------------------------------------------------------------

Rectangle = tuple[float, float, float, float]
Point = tuple[float, float]


def boxes_in(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [one for one in root.iter(f"{SVG}g") if str(one.get("class")).startswith("box")]


def wires_in(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [one for one in root.iter(f"{SVG}g") if one.get("data-from") is not None]


def rectangles(root: ElementTree.Element) -> dict[str, Rectangle]:
    """Return name of a box -> (left, top, right, bottom), for the SVG element `root` of a diagram.

    The name of an output has "> " before it.
    """
    found = {}
    for box in boxes_in(root):
        x, y, w, h = (float(str(box[1].get(key))) for key in ("x", "y", "width", "height"))
        output = "output" in str(box.get("class"))
        found[f"{'> ' if output else ''}{box.get('data-name')}"] = (x, y, x + w, y + h)
    return found


def path_of(wire: ElementTree.Element) -> str:
    return next(str(one.get("d")) for one in wire if one.get("class") == "line")


def points(path: str) -> Iterator[Point]:
    """Yield points, close together, on an SVG path of M, C and H commands."""
    x = y = 0.0
    for command, arguments in re.findall(r"([MCH])([^MCH]*)", path):
        n = [float(one) for one in arguments.split()]
        if command == "M":
            x, y = n
        elif command == "H":
            yield from ((x + (n[0] - x) * t / 20, y) for t in range(21))
            x = n[0]
        else:
            (x1, y1, x2, y2, x3, y3) = n
            for t in (k / 40 for k in range(41)):
                a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
                yield a * x + b * x1 + c * x2 + d * x3, a * y + b * y1 + c * y2 + d * y3
            x, y = x3, y3


def ends_of(graph: Graph, wire: ElementTree.Element) -> tuple[str, str]:
    """Return the names of the box where a wire begins and of the box where it ends, as `rectangles` names them."""
    origin, to = str(wire.get("data-from")), str(wire.get("data-to"))
    tail = origin if origin in {*graph.nodes, *graph.inputs} else origin.rpartition(".")[0]
    return tail, f"> {to}" if to in graph.outputs else to.rpartition(".")[0]


@every_graph
def test_boxes_lie_apart_and_on_the_paper(graph: Graph) -> None:
    root = ElementTree.fromstring(svg(graph))
    width, height = float(str(root.get("width"))), float(str(root.get("height")))
    found = rectangles(root)
    for left, top, right, bottom in found.values():
        assert 0 < left < right < width
        assert 0 < top < bottom < height
    for (a, one), (b, two) in combinations(found.items(), 2):
        apart = one[2] < two[0] or two[2] < one[0] or one[3] < two[1] or two[3] < one[1]
        assert apart, f"{a} lies over {b}"


@every_graph
def test_a_wire_ends_on_its_boxes_and_passes_all_others_by(graph: Graph) -> None:
    root = ElementTree.fromstring(svg(graph))
    found = rectangles(root)
    for wire in wires_in(root):
        tail, head = (found[name] for name in ends_of(graph, wire))
        way = list(points(path_of(wire)))
        (x_0, y_0), (x_1, y_1) = way[0], way[-1]
        assert x_0 == tail[2]
        assert tail[1] < y_0 < tail[3]
        assert x_1 == head[0]
        assert head[1] < y_1 < head[3]
        assert all(a[0] <= b[0] for a, b in pairwise(way)), "a wire only runs forwards"
        for name, (left, top, right, bottom) in found.items():
            inside = [(x, y) for x, y in way if left < x < right and top < y < bottom]
            assert not inside, f"the wire {wire.get('data-from')} -> {wire.get('data-to')} runs through {name}"


def test_two_ports_of_a_box_are_two_places() -> None:
    root = ElementTree.fromstring(svg(nested()))
    starts = {str(wire.get("data-from")): next(points(path_of(wire))) for wire in wires_in(root)}
    assert starts["codec/halves.coarse"][1] < starts["codec/halves.fine"][1]


def test_a_chain_is_drawn_as_one_straight_line() -> None:
    root = ElementTree.fromstring(svg(chain(10)))
    assert len({round(y, 9) for wire in wires_in(root) for _, y in points(path_of(wire))}) == 1


def test_wires_that_need_not_cross_do_not() -> None:
    """Two chains of nodes, declared in an order in which their wires would cross, are drawn as straight lines."""
    nodes = {name: Weigh() for name in ("a", "b", "a2", "b2")}
    inputs = {"one": Audio(Fraction(16000)), "two": Audio(Fraction(16000))}
    graph = Graph(nodes, {"a.x": "two", "b.x": "one", "a2.x": "b", "b2.x": "a"}, inputs, {"p": "b2", "q": "a2"})
    root = ElementTree.fromstring(svg(graph))
    assert all(len({round(y, 9) for _, y in points(path_of(wire))}) == 1 for wire in wires_in(root))


@every_graph
def test_labels_stay_in_their_boxes(graph: Graph) -> None:
    """No label is wider than its box.

    A letter is taken to be 0.6 em wide, about as in DejaVu Sans Mono, the widest font that the file names.
    """
    for box in boxes_in(ElementTree.fromstring(svg(graph))):
        width = float(str(box[1].get("width")))
        for label in box.iter(f"{SVG}text"):
            size = 13 if "name" in str(label.get("class")) else 11
            assert 0.6 * size * len(str(label.text)) <= width, label.text


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [_LIGHT, _DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "grey", "audio", "frames", "symbols", "whole"])
def test_every_label_can_be_read(colours: dict[str, str], ink: str) -> None:
    """Every label has a contrast of 4.5 : 1 or more, as WCAG 2 (success criterion 1.4.3) asks for small text."""
    for ground in ("paper", "fill", *(["pill"] if ink in ("ink", "grey") else [])):
        dark, light = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {ground}"


def test_a_notebook_shows_the_picture_of_a_graph() -> None:
    graph = load("lpc_vocoder")
    assert graph._repr_html_() == svg(graph)
