"""The change to another graph in the middle of a signal: nodes with the same cone continue, all others start anew."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from fractions import Fraction

from dspgraph.engine.plan import Plan, SessionState, Stage


def carry(old: SessionState, before: Plan, plan: Plan, at: Fraction) -> tuple[SessionState, dict[str, Fraction]]:
    """Return the state of a new plan in the middle of a signal, and node name -> time in seconds at which it begins.

    old, before: the state so far, between two rounds, and its plan. `old` must not be used afterwards, because the
    returned state takes over parts of it. plan: the new plan, of a graph with the same inputs. at: the earliest time at
    which new nodes may begin, in seconds. The returned mapping has the new nodes, and of the nodes that continue those
    that begin after `at`.

    A node of `plan` whose cone occurs in `before` continues: its state, its queues and the numbers of items that it has
    output so far are moved from `old`. If several nodes have the same cone, all but the first get copies, because nodes
    may write to their states. Every other node is new and starts anew: at the first time that is not before `at`, nor
    before the beginning of a node that it takes from, and that is a whole number of its periods and of items of its
    outputs. A new node does not get earlier items.
    """
    stages = {before.cones[stage.name]: stage for stage in before.stages}
    state, begins = SessionState(plan, begun=False), dict[str, Fraction]()
    places = {name: place for place, (name, _, _) in enumerate(before.inputs)}
    for place, (name, slot, _) in enumerate(plan.inputs):
        state.inputs[place] = old.inputs[places[name]]
        state.emitted[slot] = old.emitted[before.slots[name]]
    moved: set[int] = set()
    indices = {stage.name: stage.index for stage in plan.stages}
    for stage in plan.stages:
        known = stages.get(plan.cones[stage.name])
        if known is None:
            begins[stage.name] = _begin(state, plan, stage, indices, at)
        else:
            _move(old, known, state, stage)
            if state.begins.get(stage.index, at) > at:
                begins[stage.name] = state.begins[stage.index]
            if known.index in moved:
                state.node_states[stage.index], state.queues[stage.index] = copy.deepcopy(
                    (state.node_states[stage.index], state.queues[stage.index])
                )
            moved.add(known.index)
    return state, begins


def _move(old: SessionState, before: Stage, state: SessionState, stage: Stage) -> None:
    """Move the state, the queues and the counts of output items of one node from `old` to `state`.

    For a node that began in the middle of the signal, the time at which it begins and the numbers of input items that
    it must still leave out are moved too. before, stage: the stages of the node in the old plan and in the new plan.
    """
    state.node_states[stage.index] = old.node_states[before.index]
    state.queues[stage.index] = [
        (slot, queue, count)
        for slot, (_, queue, count) in zip(stage.sources, old.queues[before.index], strict=False)  # none if direct
    ]
    for slot, was in zip(stage.outs, before.outs, strict=True):
        state.emitted[slot] = old.emitted[was]
    if before.index in old.begins:
        state.begins[stage.index] = old.begins[before.index]
    if late := old.late.get(before.index):
        state.late[stage.index] = {slot: late[was] for slot, was in zip(stage.sources, before.sources, strict=True)}


def _begin(state: SessionState, plan: Plan, stage: Stage, indices: Mapping[str, int], at: Fraction) -> Fraction:
    """Start the node of `stage`, a new node of `plan`, in `state`; return the time at which the node begins.

    Sets the state of the node, the time at which it begins, the counts of its output items and the numbers of input
    items that it must leave out. Times are in seconds. indices: name of a node -> the index of its stage in `plan`. at:
    the earliest time at which the node may begin. The nodes that it takes from must be in `state` already.
    """
    sources = (origin.rpartition(".")[0] for _, origin in plan.graph.sources(stage.name))
    taken = (state.begins.get(indices[source], at) for source in sources if source in indices)
    earliest = max([at, *taken])
    binding = stage.binding
    steps = [binding.period, *(1 / stream.rate for stream in binding.gives)]
    grid = Fraction(math.lcm(*(step.numerator for step in steps)), math.gcd(*(step.denominator for step in steps)))
    begin = math.ceil(earliest / grid) * grid
    state.node_states[stage.index] = stage.start()
    state.begins[stage.index] = begin
    for slot, stream in zip(stage.outs, binding.gives, strict=True):
        state.emitted[slot] = int(begin * stream.rate)
    late = {
        slot: int(begin * stream.rate) - state.emitted[slot]
        for slot, stream in zip(stage.sources, binding.flat, strict=True)
    }
    if any(late.values()):
        state.late[stage.index] = late
    return begin
