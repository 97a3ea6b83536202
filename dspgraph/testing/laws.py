"""The laws, as checks anybody can run: on a node with an example signal, and on a whole graph.

law 0  what is declared comes out       streams() names the class, width and dtype of every block
law 1  a node is a value                all that changes is in the state, which can be copied and pickled
law 2  the cut changes nothing          any blocks give, bit for bit, what one block gives
law 3  late, never shifted              items come out no later than promised, and all of them in the end
law 4  a batch changes nothing          step_many gives each signal what it gets alone
law 5  noise belongs to the state       numbers are drawn from a generator in the state, keyed by the seed
"""

from __future__ import annotations

import copy
import math
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np

from dspgraph.engine.batch import Batch
from dspgraph.engine.plan import Plan
from dspgraph.engine.session import Session, blocks_of, joined
from dspgraph.errors import LawError, SignalError
from dspgraph.graph import Graph
from dspgraph.node import Node
from dspgraph.streams import Array, Audio, Stream, Symbols, to_fraction
from dspgraph.testing.guard import first_difference, watch

Signal: TypeAlias = tuple[Stream, Any]

CUTS = (1, 7, 160, 441, 480)
"""Block sizes every node is put to, in items of its fastest input, besides the whole signal and random ones."""


SHORTEST = 64
"""Items an example has at the least, in its fastest input."""


class Example:
    """A node with a signal for each of its inputs: what a node's own test file declares.

    Example(Lpc(order=16), frames=(Frames(100, "wave", 320), array)); a port that takes many wires takes a list.
    """

    def __init__(self, node: Node, **signals: Signal | list[Signal]) -> None:
        self.node = node
        self.wires: dict[str, list[str]] = {}
        self.signals: dict[str, Signal] = {}
        for port, given in signals.items():
            several = given if isinstance(given, list) else [given]
            names = [f"{port}_{k}" for k in range(len(several))] if isinstance(given, list) else [port]
            self.wires[f"node.{port}"] = names
            self.signals.update(zip(names, several, strict=True))

    def graph(self, precision: Any = np.float64, seed: int = 0) -> Graph:
        """The node alone in a graph, its ports the inputs and outputs."""
        inputs = {name: stream.at_precision(precision) for name, (stream, _) in self.signals.items()}
        outputs = {port.name: f"node.{port.name}" for port in self.node.outputs}
        return Graph({"node": self.node}, self.wires, inputs, outputs, seed)

    @property
    def arrays(self) -> dict[str, Array]:
        """The signals, by input."""
        return {name: np.asarray(array) for name, (_, array) in self.signals.items()}

    def render(self, precision: Any = np.float64) -> dict[str, Array]:
        """What the node gives for its example."""
        return self.graph(precision)(**self.arrays)

    def __repr__(self) -> str:
        return f"{self.node.type_name}({self.node})"


def check_node(
    example: Example, precisions: Sequence[Any] = (np.float32, np.float64), cuts: Sequence[int] = CUTS
) -> None:
    """Put a node to all its laws, at every precision and cut; LawError names the law and what differed.

    Samples are compared bit for bit. Random cuts, the same in every run, are tried besides `cuts`.
    """
    _check_description(example.node)
    _check_signal(example.graph(), example.arrays)
    for precision in precisions:
        graph, arrays = example.graph(precision), example.arrays
        where = f"{example.node.type_name} in {np.dtype(precision)}"
        whole = _one_block(graph, arrays)
        _check_repeats(where, graph, arrays)
        _check_blocks(where, graph, arrays)
        for sizes in [*((cut,) for cut in cuts), *random_cuts()]:
            _differ(2, f"{where}: {_cut_name(sizes)}", whole, _stream(where, graph, arrays, sizes))
        _check_snapshot(where, graph, arrays, whole)
        _check_batch(where, graph, arrays)


def check_graph(graph: Graph, arrays: Mapping[str, Any], cuts: Sequence[int] = CUTS) -> None:
    """Put a whole graph to laws 1 to 4: any cut, a copy made in the middle, five signals in a batch.

    LawError names the first node, in running order, whose output differs, and the first sample that does.
    """
    tapped = graph.expose_all()
    _check_signal(tapped, arrays)
    _check_blocks("the graph", tapped, arrays)
    whole = _one_block(tapped, arrays)
    for sizes in [*((cut,) for cut in cuts), *random_cuts()]:
        _differ(
            2, _cut_name(sizes), whole, _push_all(tapped.session(), blocks_of(tapped, arrays, _spans(tapped, sizes)))
        )
    _check_snapshot("the graph", tapped, arrays, whole)
    _check_batch("the graph", tapped, arrays)


def random_cuts(count: int = 3) -> list[tuple[int, ...]]:
    """Sequences of block sizes from 1 to 2000 items, small ones as likely as large; the same in every run."""
    draw = random.Random("dspgraph")
    return [tuple(int(10 ** draw.uniform(0, 3.3)) for _ in range(29)) for _ in range(count)]


def check_cut(graph: Graph, arrays: Mapping[str, Any], sizes: Sequence[int]) -> None:
    """Law 2 for one sequence of block sizes, repeated to the end: what a property test calls with cuts of its own."""
    _differ(2, _cut_name(sizes), _one_block(graph, arrays), _stream("the graph", graph, arrays, sizes))


def example_signals(graph: Graph, audio: Callable[[Audio], Array], seconds: float) -> dict[str, Array]:
    """A signal for every input of a graph: `audio` gives the samples of a stream, rows and symbols are drawn."""
    draw = np.random.Generator(np.random.Philox(key=0))
    signals = {}
    for name, stream in graph.inputs.items():
        n = stream.count(to_fraction(seconds))
        if isinstance(stream, Audio):
            signals[name] = audio(stream)[:n]
        elif isinstance(stream, Symbols):
            signals[name] = draw.integers(0, stream.size, n)
        else:
            signals[name] = draw.random((n, *stream.item_shape)).astype(stream.dtype)
    end = min(graph.inputs[name].seconds(len(array)) for name, array in signals.items())
    return _part(graph, signals, end)


def _check_signal(graph: Graph, arrays: Mapping[str, Any]) -> None:
    """A signal in which a fault could show: enough items to be cut, and not all the same."""
    fastest = max(graph.inputs, key=lambda name: graph.inputs[name].rate)
    n = len(arrays[fastest])
    if n < SHORTEST or not any(len(np.unique(arrays[name], axis=0)) > 1 for name in graph.inputs):
        raise SignalError(f"an example has {SHORTEST} items or more, and they differ; '{fastest}' has {n}: give more")


# ---- one law each ---------------------------------------------------------------------------------------------------


def _check_description(node: Node) -> None:
    twin = type(node)(**{name: getattr(node, name) for name in type(node).model_fields})
    if twin != node or hash(twin) != hash(node):
        raise LawError(1, f"{node.type_name}: two nodes with the same parameters differ")
    try:
        revived = pickle.loads(pickle.dumps(node))
    except Exception as error:
        raise LawError(1, f"{node.type_name}: the node cannot be pickled: {error}") from error
    if revived != node:
        raise LawError(1, f"{node.type_name}: the node is another one after pickling")


def _check_repeats(where: str, graph: Graph, arrays: Mapping[str, Array]) -> None:
    """Run again under the same and under another global seed, and beside a signal of another shape."""
    with _global_seeds():
        first, again, other = (_seeded_run(graph, arrays, seed) for seed in (1, 1, 2))
    _differ(1, f"{where}: a second run, with all that is outside the state unchanged,", first, again)
    _differ(5, f"{where}: a run under another global random seed", first, other)
    if "seed" in type(graph.nodes["node"]).model_fields:
        reseeded = graph.evolve(seed=graph.seed + 1)
        if all(first_difference(first[name], array) is None for name, array in _one_block(reseeded, arrays).items()):
            raise LawError(5, f"{where}: another seed of the graph changes nothing, in an example that should show it")
    backwards = {name: array[::-1].copy() for name, array in arrays.items()}
    cut, other_cut = (list(blocks_of(graph, signal, _spans(graph, (441,)))) for signal in (arrays, backwards))
    alone = _push_all(graph.session(), cut)
    one, two, parts = graph.session(), graph.session(), []
    for block, disturbing in zip(cut, other_cut, strict=True):
        two.push(**disturbing)
        parts.append(one.push(**block))
    two.flush()
    _differ(1, f"{where}: a run with another signal beside it", alone, joined([*parts, one.flush()]))


def _check_blocks(where: str, graph: Graph, arrays: Mapping[str, Array]) -> None:
    """Look at every block that goes into a node or comes out of one, in a session and in a batch.

    Each is what was declared. A node changes none it is given and keeps none itself, only copies: others hold them too.
    """
    watched = Plan(graph)
    for unit in watched.units:
        watch(where, unit)

    def runs(plan: Plan) -> Iterator[dict[str, Array]]:
        signals = [blocks_of(graph, arrays, _spans(graph, (160, 441, 7))) for _ in range(3)]
        yield _push_all(Session(graph, plan), signals[0])
        for _, outputs in Batch(graph, 2, plan).render(signals[1:]):
            if isinstance(outputs, Exception):
                raise outputs
            yield outputs

    for expected, found in zip(runs(Plan(graph)), runs(watched), strict=True):
        _differ(1, f"{where}: with every block overwritten once it was used (keep copies, not blocks)", expected, found)


def _stream(where: str, graph: Graph, arrays: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Array]:
    """Run cut into `sizes`, holding every push to what the node promises to have given by then."""
    session = graph.session()
    binding = graph.bindings.get("node")
    parts = []
    for blocks in blocks_of(graph, arrays, _spans(graph, sizes)):
        parts.append(session.push(**blocks))
        if binding is None or len(graph.nodes) > 1:
            continue
        given = min(stream.seconds(session.flow.emitted[slot]) for _, slot, stream in session.plan.inputs)
        whole = given // binding.period * binding.period
        for name, slot, stream in session.plan.outputs:
            emitted = session.flow.emitted[slot]
            promised = (
                0 if binding.waits_for_the_end else math.floor((whole - Fraction(binding.lookahead)) * stream.rate)
            )
            if not max(0, promised) <= emitted <= math.floor(whole * stream.rate):
                raise LawError(
                    3,
                    f"{where}: after {float(given):g} s in blocks of {_cut_name(sizes)} '{name}' has given {emitted} "
                    f"items; a lookahead of {float(binding.lookahead):g} s promises at least {max(0, promised)}, and "
                    f"no more than {math.floor(whole * stream.rate)} spans have ended",
                )
    parts.append(session.flush())
    return joined(parts)


def _check_snapshot(where: str, graph: Graph, arrays: Mapping[str, Any], whole: dict[str, Array]) -> None:
    """Copy the session in the middle of the signal; the copy, and after it the original, must go on the same."""
    session = graph.session()
    blocks = list(blocks_of(graph, arrays, _spans(graph, (441,))))
    half = len(blocks) // 2
    parts = [session.push(**block) for block in blocks[:half]]
    try:
        snapshot = pickle.loads(pickle.dumps(session.snapshot()))
    except Exception as error:
        raise LawError(
            1, f"{where}: the state cannot be copied and pickled: {type(error).__name__}: {error}"
        ) from error
    revived = graph.session()
    revived.restore(snapshot)
    for what, running in (("a copy made in the middle", revived), ("the original of a copy", session)):
        rest = [running.push(**block) for block in blocks[half:]]
        _differ(1, f"{where}: {what}", whole, joined([*parts, *rest, running.flush()]))


def _check_batch(where: str, graph: Graph, arrays: Mapping[str, Any]) -> None:
    """Five signals of different length in three places, each against itself alone."""
    seconds = min(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())
    signals = [
        _part(graph, arrays, seconds * f) for f in (Fraction(1), Fraction(1, 3), Fraction(1, 97), Fraction(3, 5))
    ]
    signals.append({name: array[::-1].copy() for name, array in signals[3].items()})
    blocks = (blocks_of(graph, signal, _spans(graph, (977,))) for signal in signals)
    for number, outputs in Batch(graph, 3).render(blocks):
        if isinstance(outputs, Exception):
            raise outputs
        _differ(4, f"{where}: signal {number} of 5 in a batch", _one_block(graph, signals[number]), outputs)


# ---- what the checks share ------------------------------------------------------------------------------------------


def _differ(law: int, what: str, expected: dict[str, Array], found: dict[str, Array]) -> None:
    for name, array in expected.items():
        difference = first_difference(array, found[name])
        if difference is not None:
            raise LawError(
                law,
                f"{what}: '{name}' differs first at item {difference.item} of {len(array)}: expected "
                f"{_brief(difference.expected)}, found {_brief(difference.found)}",
            )


def _brief(item: Any) -> str:
    if item is None or isinstance(item, str):
        return item or "no such item"
    if np.ndim(item) == 0:
        return repr(item.item())
    return np.array2string(np.asarray(item), threshold=4, precision=17)


def _one_block(graph: Graph, arrays: Mapping[str, Any]) -> dict[str, Array]:
    longest = max(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())
    return _push_all(graph.session(), blocks_of(graph, arrays, [longest]))


def _push_all(session: Session, blocks: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    parts = [session.push(**block) for block in blocks]
    return joined([*parts, session.flush()])


def _spans(graph: Graph, sizes: Iterable[int]) -> Iterator[Fraction]:
    """Block sizes, in items of the fastest input, as seconds, over and over."""
    fastest = max(stream.rate for stream in graph.inputs.values())
    return (Fraction(size) / fastest for size in cycle(sizes))


def _part(graph: Graph, arrays: Mapping[str, Any], seconds: Fraction) -> dict[str, Array]:
    return {name: np.asarray(arrays[name])[: stream.count(seconds)] for name, stream in graph.inputs.items()}


def _cut_name(sizes: Sequence[int]) -> str:
    return f"cut into {sizes[0]}" if len(sizes) == 1 else f"cut into {', '.join(map(str, sizes[:4]))}, ..."


def _seeded_run(graph: Graph, arrays: Mapping[str, Array], seed: int) -> dict[str, Array]:
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    return _one_block(graph, arrays)


@contextmanager
def _global_seeds() -> Iterator[None]:
    """Leave the global generators as they were found."""
    kept, kept_numpy = random.getstate(), copy.deepcopy(np.random.get_state())
    torch = sys.modules.get("torch")
    kept_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
        if torch:
            torch.set_rng_state(kept_torch)
