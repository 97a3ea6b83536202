"""The laws as checks: for a node with an example signal, and for a whole graph.

law 0  what is declared comes out       every output block has the shape and dtype that streams() declares
law 1  a node is a value                everything that changes is in the state, which can be copied and pickled
law 2  the cut changes nothing          outputs are the same, bit for bit, for any blocks and for one block
law 3  late, never shifted              items come out when the lookahead promises, and no lookahead is too long
law 4  a batch changes nothing          outputs of step_many are the same, bit for bit, as those of each signal alone
law 5  noise belongs to the state       random numbers come from a generator in the state, keyed by the seed

`check_node` runs all checks of a node. For one test result per check, run them one by one:

    @pytest.mark.parametrize(("name", "check"), NODE_CHECKS.items())
    def test_law(name, check):
        check(example, np.float32)

All checks of a node take the same arguments, and raise LawError, or SignalError for an unfit signal. example: the node
with its signal. precision: the dtype of the streams, float32 or float64. cuts: block sizes, as in `CUTS`; only
`check_cuts` and `check_lookahead` use them. In helpers, `where` is the beginning of the message of an error, `arrays`
the signal (name of an input -> array), and `whole` the outputs for the signal in one block.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from dspgraph.engine.batch import Batch
from dspgraph.engine.blocks import blocks_of, joined
from dspgraph.engine.plan import Plan
from dspgraph.engine.session import Session
from dspgraph.errors import DspgraphError, LawError
from dspgraph.graph import Graph
from dspgraph.streams import Array, gcd
from dspgraph.testing.example import Example, check_signal
from dspgraph.testing.guard import BlockGuard
from dspgraph.testing.runs import (
    Outputs,
    beginning,
    counted_entropy,
    cut_name,
    duration,
    first_difference,
    one_block,
    push_all,
    seeded_run,
    spans,
)

CUTS = (1, 7, 160, 441, 480)
"""Block sizes of the checks, in items of the input with the highest rate. The checks try random cuts too."""

ITEM_BY_ITEM = Fraction(1, 10)
"""Seconds. If a signal is longer, only its beginning, of at least this length, is cut into single items. To cut the
whole signal would take most of the time of all checks."""


def check_node(
    example: Example, precisions: Sequence[Any] = (np.float32, np.float64), cuts: Sequence[int] = CUTS
) -> None:
    """Run all checks of a node at every precision. Raises LawError that names the law and what is different.

    An example that is too short, or that does not vary, raises SignalError. Samples are compared bit for bit. cuts:
    block sizes, as in `CUTS`. Random block sizes, the same in every run, are tried too.
    """
    for precision in precisions:
        for check in NODE_CHECKS.values():
            check(example, precision, cuts)


def check_graph(graph: Graph, arrays: Mapping[str, Any], cuts: Sequence[int] = CUTS) -> None:
    """Check laws 0, 1, 2 and 4 of a whole graph: all blocks, several cuts, a copy of a running session, and a batch.

    For law 3, only the number of items of every output is checked, and not the lookahead. arrays: name of an input ->
    array. cuts: block sizes, as in `CUTS`. Raises LawError that names the first node, in running order, whose output
    differs, and the first item that differs, and SignalError for a signal that `check_signal` refuses.
    """
    tapped = graph.expose_all()
    check_signal(tapped, arrays)
    whole = one_block(tapped, arrays)
    _check_blocks("the graph", tapped, arrays, whole)
    for sizes in _all_cuts(tapped, cuts):
        part, expected = _part_to_cut(tapped, arrays, sizes, whole)
        _differ(2, cut_name(sizes), expected, _stream(tapped, part, sizes).outputs)
    _check_snapshot("the graph", tapped, arrays, whole)
    _check_batch("the graph", tapped, arrays, whole)


def check_cut(graph: Graph, arrays: Mapping[str, Any], sizes: Sequence[int], whole: Outputs | None = None) -> None:
    """Check law 2 for one sequence of block sizes, and law 3 too if the graph was made by `Example.graph`.

    A lookahead that is too long is not found here. arrays: name of an input -> array. sizes: in items of the input with
    the highest rate; the sequence is repeated to the end of the signal. whole: the outputs for the signal in one block;
    None to compute them.
    """
    if whole is None:
        whole = one_block(graph, arrays)
    run = _stream(graph, arrays, sizes)
    _differ(2, cut_name(sizes), whole, run.outputs)
    _check_promises("the graph", graph, sizes, run)


def random_cuts(count: int = 3) -> list[tuple[int, ...]]:
    """Return `count` sequences of 29 block sizes each, the same in every run, log-uniform from 1 to 1995 items."""
    draw = random.Random("dspgraph")
    return [tuple(int(10 ** draw.uniform(0, 3.3)) for _ in range(29)) for _ in range(count)]


# ---- the checks of a node -------------------------------------------------------------------------------------------


def check_example(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that the signal of an example is long enough and varies. Raises SignalError as `check_signal` does."""
    check_signal(example.graph(precision), example.arrays)


def check_parameters(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that a node is equal to a new node with the same parameters, and to its own pickled copy (law 1)."""
    node = example.node
    twin = type(node)(**{name: getattr(node, name) for name in type(node).model_fields})
    if twin != node or hash(twin) != hash(node):
        raise LawError(1, f"{node.type_name}: two nodes with the same parameters differ")
    try:
        revived = pickle.loads(pickle.dumps(node))
    except Exception as error:
        raise LawError(1, f"{node.type_name}: the node cannot be pickled: {error}") from error
    if revived != node:
        raise LawError(1, f"{node.type_name}: the node is not the same after pickling")


def check_repeats(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that a second run with the same signal gives the same outputs as the first run (law 1).

    Before both runs the global random generators get the same seed, so that noise from these is not found here.
    """
    again = seeded_run(example.graph(precision), example.arrays, seed=1)
    what = f"{_where(example, precision)}: a second run, with all that is outside the state unchanged,"
    _differ(1, what, example.whole(precision), again)


def check_noise(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that the noise of a node depends on nothing but its state and the seed of the graph (law 5).

    If the node has a parameter `seed`, another seed of the graph must change the outputs. If two runs differ although
    nothing was drawn without a seed, the cause is not noise, and nothing is raised: `check_repeats` reports it.
    """
    where, graph, arrays = _where(example, precision), example.graph(precision), example.arrays
    whole = example.whole(precision)
    with counted_entropy() as drawn:
        again = seeded_run(graph, arrays, seed=1)
    if _any_difference(whole, again):
        if not drawn:
            return  # the cause is not noise: the check law1_repeats reports it
        _differ(5, f"{where} draws numbers that no seed fixes; {_WAY_OUT}. A second run", whole, again)
    other = seeded_run(graph, arrays, seed=2)
    what = f"{where} draws from a global random generator; {_WAY_OUT}. A run under another global seed"
    _differ(5, what, whole, other)
    if "seed" in type(example.node).model_fields:
        reseeded = one_block(graph.evolve(seed=graph.seed + 1), arrays)
        if not _any_difference(whole, reseeded):
            raise LawError(5, f"{where}: another seed of the graph changes nothing, in an example that should show it")


def check_neighbours(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that the outputs of a session are the same if a second session of the graph runs at the same time (law 1).

    The second session gets another signal, and the blocks of both are pushed in turn. cuts: not used.
    """
    graph, arrays = example.graph(precision), example.arrays
    backwards = {name: array[::-1].copy() for name, array in arrays.items()}
    cut, other_cut = (list(blocks_of(graph, signal, spans(graph, (441,)))) for signal in (arrays, backwards))
    alone = push_all(graph.session(), cut)
    one, two, parts = graph.session(), graph.session(), []
    for block, disturbing in zip(cut, other_cut, strict=True):
        two.push(**disturbing)
        parts.append(one.push(**block))
    two.flush()
    found = joined([*parts, one.flush()])
    _differ(1, f"{_where(example, precision)}: a run with another signal beside it", alone, found)


def check_blocks(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that output blocks are as declared and finite, and that no block is changed or kept (laws 0, 1).

    That is, the node must not change a block that it gets, or use the block of an earlier step: it may keep copies.
    cuts: not used.
    """
    whole = example.whole(precision)
    _check_blocks(_where(example, precision), example.graph(precision), example.arrays, whole)


def check_cuts(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that the outputs are the same for every cut and for one block (law 2)."""
    for sizes, expected, run in _streams(example, np.dtype(precision), tuple(cuts)):
        _differ(2, f"{_where(example, precision)}: {cut_name(sizes)}", expected, run.outputs)


def check_short(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that signals of 0 and 1 item, and just above one period, are processed, and the same in single items.

    The lengths are those of the input with the highest rate. Raises LawError (law 2) if a cut changes an item, and
    (law 3) if the number of items is wrong or the node fails. cuts: not used.
    """
    graph = example.graph(precision)
    item = 1 / max(stream.rate for stream in graph.inputs.values())
    for seconds in (Fraction(0), item, graph.bindings["node"].period + item):
        part = beginning(graph, example.arrays, seconds)
        where = f"{_where(example, precision)}: a signal of {float(seconds):g} s"
        try:
            whole, cut = one_block(graph, part), _stream(graph, part, (1,)).outputs
        except LawError as error:
            raise LawError(error.law, f"{where}: {error.message}") from error
        except DspgraphError as error:
            raise LawError(3, f"{where}: {error}") from error
        _differ(2, where, whole, cut)


def check_lookahead(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that items come out when the lookahead promises them, and that the lookahead is not too long (law 3).

    An example made by `Example.waiting_on_purpose` may have a lookahead that is longer than its items need.
    """
    where, graph = _where(example, precision), example.graph(precision)
    streams = _streams(example, np.dtype(precision), tuple(cuts))
    for sizes, _, run in streams:
        _check_promises(where, graph, sizes, run)
    if not example.waits_on_purpose:
        runs = [run for _, _, run in streams]
        if 1 not in cuts:  # only single items show exactly when an item comes out
            part, _ = _part_to_cut(graph, example.arrays, (1,), example.whole(precision))
            runs.append(_stream(graph, part, (1,)))
        _check_shortest(where, graph, example, precision, runs)


def check_snapshot(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that a session, and a copy of it made in the middle of the signal, give the expected outputs (law 1).

    The expected outputs are the outputs for the signal in one block.
    """
    whole = example.whole(precision)
    _check_snapshot(_where(example, precision), example.graph(precision), example.arrays, whole)


def check_batch(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
    """Check that signals in a batch give the same outputs as each of them alone (law 4)."""
    whole = example.whole(precision)
    _check_batch(_where(example, precision), example.graph(precision), example.arrays, whole)


def _unless_noise(check: NodeCheck) -> NodeCheck:
    """Return a check that reports law 5 if `check` fails because a node uses noise from outside its state."""

    @wraps(check)
    def checked(example: Example, precision: Any, cuts: Sequence[int] = CUTS) -> None:
        try:
            check(example, precision, cuts)
        except LawError as error:
            if error.law in (1, 2, 4):
                check_noise(example, precision, cuts)
            raise

    return checked


NodeCheck: TypeAlias = Callable[..., None]
"""A check of a node: check(example, precision) or check(example, precision, cuts). Raises LawError or SignalError."""

NODE_CHECKS: Mapping[str, NodeCheck] = MappingProxyType(
    {
        "example": check_example,
        "law1_parameters": check_parameters,
        "law1_repeats": _unless_noise(check_repeats),
        "law5_noise": check_noise,
        "law1_neighbours": _unless_noise(check_neighbours),
        "law0_blocks": _unless_noise(check_blocks),
        "law2_cuts": _unless_noise(check_cuts),
        "law3_lookahead": check_lookahead,
        "law3_short": _unless_noise(check_short),
        "law1_snapshot": _unless_noise(check_snapshot),
        "law4_batch": _unless_noise(check_batch),
    }
)
"""Name -> check of a node. In this order, the first check that fails names the law that is broken."""


def _where(example: Example, precision: Any) -> str:
    return f"{example.node.type_name} in {np.dtype(precision)}"


# ---- cuts and promises ----------------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """One run of a session. outputs: name -> the whole output.

    progress: after every push, (the seconds of input pushed so far, the number of items of each output so far).
    """

    outputs: Outputs
    progress: list[tuple[Fraction, list[int]]]


@lru_cache(maxsize=2)
def _streams(
    example: Example, precision: np.dtype[Any], cuts: tuple[int, ...]
) -> list[tuple[tuple[int, ...], Outputs, _Run]]:
    """Return (block sizes, expected outputs, the run in such blocks) for every cut of an example.

    The result is cached, because two checks use it. cuts: the block sizes to try.
    """
    graph, arrays, whole = example.graph(precision), example.arrays, example.whole(precision)
    runs = []
    for sizes in _all_cuts(graph, cuts):
        part, expected = _part_to_cut(graph, arrays, sizes, whole)
        runs.append((sizes, expected, _stream(graph, part, sizes)))
    return runs


def _all_cuts(graph: Graph, cuts: Sequence[int]) -> list[tuple[int, ...]]:
    """Return sequences of block sizes: one for each number in `cuts`, and the random sequences.

    If all nodes wait for the end, only one number and one random sequence are returned, because every node gets the
    whole signal in one block anyway.
    """
    fixed = [(cut,) for cut in cuts]
    if all(binding.waits_for_the_end for binding in graph.bindings.values()):
        return [*fixed[len(fixed) // 2 :][:1], *random_cuts(1)]
    return [*fixed, *random_cuts()]


def _part_to_cut(
    graph: Graph, arrays: Mapping[str, Any], sizes: Sequence[int], whole: Outputs
) -> tuple[Mapping[str, Any], Outputs]:
    """Return the part of a signal to cut into `sizes`, and the outputs for this part in one block.

    For single items (sizes is (1,)) the part is the beginning of the signal. It has at least the length `ITEM_BY_ITEM`
    and at least the sum of the lookahead and eight periods, over all nodes that do not wait for the end, so that each
    of these gives items. For a shorter signal, and for other sizes, it is the whole signal. whole: the outputs for the
    whole signal in one block.
    """
    if tuple(sizes) != (1,):
        return arrays, whole
    finite = [binding for binding in graph.bindings.values() if not binding.waits_for_the_end]
    seconds = sum(
        (Fraction(b.lookahead) + 8 * max(b.period, *(1 / (s.rate * b.stretch) for s in b.gives)) for b in finite),
        Fraction(0),
    )
    seconds = max(seconds, ITEM_BY_ITEM)
    if seconds >= duration(graph, arrays):
        return arrays, whole
    part = beginning(graph, arrays, seconds)
    return part, one_block(graph, part)


def _stream(graph: Graph, arrays: Mapping[str, Any], sizes: Sequence[int]) -> _Run:
    """Return a run of a signal that is cut into `sizes`, in items of the input with the highest rate."""
    session = graph.session()
    parts, progress = [], []
    for blocks in blocks_of(graph, arrays, spans(graph, sizes)):
        parts.append(session.push(**blocks))
        given = min(stream.seconds(session.state.emitted[slot]) for _, slot, stream in session.plan.inputs)
        progress.append((given, [session.state.emitted[slot] for _, slot, _ in session.plan.outputs]))
    parts.append(session.flush())
    return _Run(joined(parts), progress)


def _check_promises(where: str, graph: Graph, sizes: Sequence[int], run: _Run) -> None:
    """Raise LawError if, after any push, an output has fewer items than the lookahead promises, or too many.

    An output has too many items if an item came out before the end of its span. Only a graph that was made by
    `Example.graph`, with one node, is checked.
    """
    if list(graph.nodes) != ["node"]:
        return
    binding = graph.bindings["node"]
    for given, counts in run.progress:
        whole = given // binding.period * binding.period
        for (name, stream), emitted in zip(graph.outputs.items(), counts, strict=True):
            rate = stream.rate * binding.stretch  # items for each second of input
            early = 0 if binding.waits_for_the_end else math.floor((whole - Fraction(binding.lookahead)) * rate)
            promised, ended = max(0, early), math.floor(whole * rate)
            if not promised <= emitted <= ended:
                raise LawError(
                    3,
                    f"{where}: after {float(given):g} s, {cut_name(sizes)}, '{name}' has given {emitted} "
                    f"items; a lookahead of {float(binding.lookahead):g} s promises at least {promised}, and "
                    f"no more than {ended} spans have ended",
                )


def _check_shortest(where: str, graph: Graph, example: Example, precision: Any, runs: Sequence[_Run]) -> None:
    """Raise LawError if the declared lookahead is longer than the node needs, by a period or more.

    The lookahead that the node needs is estimated from the runs. If an item has not come out after t seconds of input,
    in whole periods, it needs a lookahead of more than t minus the end of its span. In blocks of one item, the items
    that came out are counted at the end of every period; this makes the estimate exact. A lookahead that is longer by
    less than a period changes nothing, because items come out at the ends of periods.

    If no item of an output came out before the end, nothing is raised. A node that waits for the whole signal is
    checked by `_check_whole_signal_needed`, without the runs.
    """
    binding = graph.bindings["node"]
    if binding.waits_for_the_end:
        _check_whole_signal_needed(where, graph, example, precision)
        return
    shortest = Fraction(0)
    for port, stream in enumerate(graph.outputs.values()):
        if not any(counts[port] for run in runs for _, counts in run.progress):
            return  # nothing came out before the end: the example is too short
        longer_than = max(
            given // binding.period * binding.period - stream.seconds(counts[port] + 1) / binding.stretch
            for run in runs
            for given, counts in run.progress
        )
        shortest = max(shortest, longer_than + gcd(binding.period, 1 / (stream.rate * binding.stretch)))
    if binding.lookahead >= shortest + binding.period:
        raise LawError(
            3,
            f"{where}: the declared lookahead is {float(binding.lookahead):g} s, but every item was out as if it were "
            f"{float(shortest):g} s: {_SHORTER}",
        )


def _check_whole_signal_needed(where: str, graph: Graph, example: Example, precision: Any) -> None:
    """Raise LawError if a node that waits for the whole signal gives the same items in blocks, before the end."""
    impatient = {"node": dataclasses.replace(graph.bindings["node"], lookahead=Fraction(0))}
    plan = Plan(graph, bindings=impatient)
    fastest = max(stream.rate for stream in graph.inputs.values())
    quarter = max(1, int(duration(graph, example.arrays) * fastest) // 4)
    whole = example.whole(precision)
    if all(_same_in_blocks(graph, plan, example.arrays, sizes, whole) for sizes in ((quarter,), (7, 11))):
        raise LawError(
            3,
            f"{where}: the declared lookahead is the whole signal, but the node gives the same in blocks, before the "
            f"end: {_SHORTER}",
        )


def _same_in_blocks(graph: Graph, plan: Plan, arrays: Mapping[str, Any], sizes: Sequence[int], whole: Outputs) -> bool:
    """Return whether a signal in blocks gives the outputs `whole`, and some items of each output before the end.

    The run stops at the first difference. An error in the run counts as a difference.
    """
    session, counts = Session(graph, plan), dict.fromkeys(whole, 0)

    def same(part: Outputs) -> bool:
        expected = {name: whole[name][counts[name] :][: len(array)] for name, array in part.items()}
        for name, array in part.items():
            counts[name] += len(array)
        return not _any_difference(expected, part)

    try:
        if not all(same(session.push(**block)) for block in blocks_of(graph, arrays, spans(graph, sizes))):
            return False
        early = min(counts.values())
        return early > 0 and same(session.flush())
    except Exception:
        return False  # the node cannot work in blocks


_SHORTER = "declare the shorter one, or, if the node waits on purpose, say so: Example.waiting_on_purpose(...)"

_WAY_OUT = "draw from a generator in the state, made with dspgraph.generator(self.seed)"


# ---- what the checks of nodes and graphs share ----------------------------------------------------------------------


def _check_blocks(where: str, graph: Graph, arrays: Mapping[str, Array], whole: Outputs) -> None:
    """Check every block that goes into a node or comes out of it, in a session and in a batch.

    Output blocks must be as declared. A node must not change the blocks that it gets, and must not keep them after its
    step, because other nodes use the same arrays. It may keep copies.
    """
    watched = Plan(graph, BlockGuard(where))
    sound = [whole] * 3
    for number, found in enumerate(_guarded_runs(graph, arrays, watched)):
        if _any_difference(sound[number], found):
            # The cut or the batch may be the cause: compare with runs of the same blocks, but without the guard.
            sound = list(_guarded_runs(graph, arrays, Plan(graph)))
        what = f"{where}: with every block overwritten once it was used (keep copies, not blocks)"
        _differ(1, what, sound[number], found)


def _guarded_runs(graph: Graph, arrays: Mapping[str, Array], plan: Plan) -> Iterator[Outputs]:
    signals = [blocks_of(graph, arrays, spans(graph, (160, 441, 7))) for _ in range(3)]
    yield push_all(Session(graph, plan), signals[0])
    for _, outputs in Batch(graph, 2, plan).render(signals[1:]):
        if isinstance(outputs, Exception):
            raise outputs
        yield outputs


def _check_snapshot(where: str, graph: Graph, arrays: Mapping[str, Any], whole: Outputs) -> None:
    """Check that a copy of a session, made in the middle of the signal, and the session itself both give `whole`."""
    session = graph.session()
    blocks = list(blocks_of(graph, arrays, spans(graph, (441,))))
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


def _check_batch(where: str, graph: Graph, arrays: Mapping[str, Any], whole: Outputs) -> None:
    """Check that five signals, three at a time in a batch, give the same outputs as each of them alone."""
    seconds = duration(graph, arrays)
    parts = [beginning(graph, arrays, seconds * share) for share in (Fraction(1, 3), Fraction(1, 97), Fraction(3, 5))]
    backwards = {name: array[::-1].copy() for name, array in parts[-1].items()}
    signals = [beginning(graph, arrays, seconds), *parts, backwards]
    blocks = (blocks_of(graph, signal, spans(graph, (977,))) for signal in signals)
    for number, outputs in Batch(graph, 3).render(blocks):
        if isinstance(outputs, Exception):
            raise outputs
        alone = one_block(graph, signals[number]) if number else whole
        _differ(4, f"{where}: signal {number} of 5 in a batch", alone, outputs)


def _any_difference(expected: Outputs, found: Outputs) -> bool:
    return any(first_difference(array, found[name]) is not None for name, array in expected.items())


def _differ(law: int, what: str, expected: Outputs, found: Outputs) -> None:
    """Raise LawError for the first output in which `found` differs from `expected`.

    law: the number of the law. what: the first words of the message.
    """
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
