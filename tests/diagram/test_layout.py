"""The layout of a diagram: layers, order and vertical places of boxes of any size, and the routes of wires."""

import random
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest

from dspgraph.diagram.layout import MARGIN, Layout
from dspgraph.diagram.model import Box, Diagram, Edge, StreamLabel

LABEL = StreamLabel("Audio", "", "16000 Hz")


def diagram(roles: str, wires: Sequence[tuple[int, int]]) -> Diagram:
    """Return a diagram of boxes and wires. All wires leave from and lead to port 0 of their boxes.

    roles: one letter for each box, "i" for an input, "n" for a node, "o" for an output; wires: (from, to), the numbers
    of two boxes, counted from 0, where `from` is the smaller one.
    """
    names = {"i": "input", "n": "node", "o": "output"}
    boxes = tuple(Box(names[role], f"{role}{k}", "") for k, role in enumerate(roles))
    return Diagram(boxes, tuple(Edge(a, 0, b, 0, f"{a}", f"{b}", LABEL) for a, b in wires), ())


def laid_out(roles: str, wires: Sequence[tuple[int, int]], height: int = 40) -> Layout:
    return Layout(diagram(roles, wires), [(100, height)] * len(roles), lambda k, port: height // 2)


def shape(layout: Layout, number: int) -> list[int]:
    """Return the y coordinate of a wire in each layer from its first box to its last.

    number: the index of the wire in the diagram.
    """
    return [y for *_, y in layout.route(number)]


def test_a_box_is_in_the_layer_of_its_longest_way_and_all_outputs_are_in_the_last() -> None:
    layout = laid_out("innnoo", [(0, 1), (1, 2), (0, 3), (2, 3), (0, 4), (3, 5)])
    assert layout.rank[:6] == [0, 1, 2, 3, 4, 4]


def test_a_long_wire_has_a_point_in_each_layer_and_shares_it_with_wires_of_its_port() -> None:
    layout = laid_out("innno", [(0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (3, 4)])
    assert layout.paths == [[0, 1], [1, 2], [2, 3], [0, 5, 6, 3], [0, 5, 6, 7, 4], [3, 4]]
    assert layout.rank[5:] == [1, 2, 3]


def test_a_chain_is_one_straight_line() -> None:
    layout = laid_out("innno", [(k, k + 1) for k in range(4)])
    assert {y for number in range(4) for y in shape(layout, number)} == {MARGIN + 20}


def test_two_crossed_chains_are_uncrossed() -> None:
    layout = laid_out("iinnoo", [(0, 3), (1, 2), (2, 5), (3, 4)])
    assert all(len(set(shape(layout, number))) == 1 for number in range(4))


def test_complete_bipartite_pairs_have_no_more_crossings_than_they_need() -> None:
    """A layout has no more crossings than it needs.

    Two layers with 2 and 2 boxes, all joined, need one crossing; with 2 and 3 boxes they need three.
    """
    two = laid_out("iioo", [(a, b) for a in (0, 1) for b in (2, 3)])
    assert two._crossings(two.layers) == 1
    three = laid_out("iiooo", [(a, b) for a in (0, 1) for b in (2, 3, 4)])
    assert three._crossings(three.layers) == 3


def test_a_box_between_two_stands_half_way() -> None:
    """The top of a box with one wire from each of two boxes is at the mean of the y coordinates of their tops.

    There the sum of the squares of both wires' slopes is least. The wires are too steep to be made straight. The output
    after the box is at the height of the box.
    """
    layout = laid_out("iino", [(0, 2), (1, 2), (2, 3)], height=100)
    y = [layout.rectangle(k)[1] for k in range(4)]
    assert y[2] == y[3] == (y[0] + y[1]) // 2


@pytest.mark.parametrize(
    ("wanted", "tops"),
    [
        ([(0.0, 1), (100.0, 1)], [0, 100]),  # far enough apart: as wanted
        ([(50.0, 1), (50.0, 1)], [17, 83]),  # 66 apart at least, around the mean
        ([(50.0, 1), (50.0, 3)], [0.5, 66.5]),  # the heavier one gives way less
        ([(100.0, 1), (0.0, 1)], [17, 83]),  # the order is kept
    ],
)
def test_boxes_are_kept_apart_by_isotonic_regression(wanted: list[tuple[float, int]], tops: list[float]) -> None:
    layout = laid_out("iio", [(0, 2), (1, 2)])
    assert layout._step(0, 1) == 66  # the height, and 26 of space
    assert layout._apart([0, 1], wanted) == tops


def random_diagram(seed: int) -> tuple[str, list[tuple[int, int]]]:
    rng = random.Random(seed)
    nodes = rng.randint(2, 12)
    wires = [(rng.randrange(k), k) for k in range(1, nodes) for _ in range(rng.randint(1, 3))]
    ends = [k for k in range(nodes) if k not in {a for a, _ in wires}] or [nodes - 1]
    wires += [(k, nodes + number) for number, k in enumerate(ends)]
    return "i" + "n" * (nodes - 1) + "o" * len(ends), wires


@pytest.mark.parametrize("seed", range(20))
def test_boxes_lie_apart_and_wires_run_forwards_past_all_others(seed: int) -> None:
    roles, wires = random_diagram(seed)
    rng = random.Random(seed)
    sizes = [(rng.randint(40, 200), rng.randint(30, 120)) for _ in roles]
    layout = Layout(diagram(roles, wires), sizes, lambda k, port: sizes[k][1] // 2)
    places = [layout.rectangle(k) for k in range(len(roles))]
    for x, y, width, height in places:
        assert MARGIN <= x < x + width <= layout.width - MARGIN
        assert MARGIN <= y < y + height <= layout.height - MARGIN
    for (a, b, c, d), (e, f, g, h) in combinations(places, 2):
        assert a + c < e or e + g < a or b + d < f or f + h < b
    for number, (tail, head) in enumerate(wires):
        stops = list(layout.route(number))
        assert stops[0] == (places[tail][0], places[tail][0] + places[tail][2], places[tail][1] + places[tail][3] // 2)
        assert stops[-1][::2] == (places[head][0], places[head][1] + places[head][3] // 2)
        assert all(right < left for (_, right, _), (left, _, _) in pairwise(stops))
        for left, right, y in stops[1:-1]:
            assert not [
                k for k, (x, top, w, h) in enumerate(places) if x < right and left < x + w and top <= y <= top + h
            ]


def test_the_same_diagram_has_the_same_layout() -> None:
    roles, wires = random_diagram(3)
    one, two = laid_out(roles, wires), laid_out(roles, wires)
    assert (one.layers, one.top, one.columns) == (two.layers, two.top, two.columns)
