"""The choice of the variants of a pipeline that are compared, and their names."""

from pathlib import Path
from typing import Any

import pytest

from dspgraph import PipelineError, RequestError, UnknownName, load
from dspgraph.evaluation.variants import Choice, choices
from helpers import paths

TOYS = str(paths.TOYS)

SLOTS = """inputs: {x: {audio: 16000}}
vars: {gain: 1.0}
nodes: {first: {node: toy_scale, x: x, factor: "${gain}"}, end: {node: toy_scale, x: first, factor: 0.5}}
outputs: {y: end}
"""
ONE = SLOTS + "variants: {end: {late: {node: toy_late, x: first}}}\n"
BOTH = SLOTS + "variants: {first: {noise: {node: toy_noise, like: x}}, end: {late: {node: toy_late, x: first}}}\n"


def listed(folder: Path, text: str, *overrides: str, **more: Any) -> list[str]:
    path = folder / "mine.yaml"
    path.write_text(text)
    found = choices(path, overrides, plugins=[TOYS], **more)
    for choice in found:
        assert isinstance(choice, Choice)
        assert choice.graph == load(path, choice.overrides, choice.swaps, [TOYS])
    return [choice.name for choice in found]


@pytest.mark.parametrize(
    ("text", "overrides", "more", "expected"),
    [
        (SLOTS, [], {}, ["mine"]),
        (SLOTS, ["gain=2"], {}, ["mine"]),
        (SLOTS, ["gain=1,2"], {}, ["gain=1", "gain=2"]),
        (SLOTS, ["gain=1, 2", "end.factor=3,4"], {},
         ["gain=1 / end.factor=3", "gain=1 / end.factor=4", "gain=2 / end.factor=3", "gain=2 / end.factor=4"]),
        (ONE, [], {}, ["toy_scale", "late"]),
        (ONE, ["gain=1,2"], {}, ["gain=1", "gain=2"]),
        (ONE, ["gain=1,2"], {"vary": ["end"]}, ["toy_scale / gain=1", "toy_scale / gain=2", "late / gain=1", "late / gain=2"]),
        (ONE, [], {"swaps": {"end": "late"}}, ["mine"]),
        (BOTH, [], {}, ["mine", "first=noise", "end=late"]),
        (BOTH, [], {"vary": ["end"]}, ["toy_scale", "late"]),
        (BOTH, [], {"vary": ["end", "end"]}, ["toy_scale", "late"]),
        (BOTH, [], {"vary": ["first", "end"]}, ["toy_scale / toy_scale", "toy_scale / late", "noise / toy_scale", "noise / late"]),
        (BOTH, [], {"swaps": {"end": "late"}}, ["first=toy_scale", "first=noise"]),
        (ONE, [], {"swaps": {"end": "late,toy_scale"}}, ["late", "toy_scale"]),
        (BOTH, [], {"swaps": {"end": "late, toy_scale"}}, ["late", "toy_scale"]),
        (BOTH, [], {"swaps": {"end": "toy_scale,late", "first": "noise"}}, ["toy_scale", "late"]),
        (BOTH, ["gain=1,2"], {"swaps": {"end": "toy_scale,late"}},
         ["toy_scale / gain=1", "toy_scale / gain=2", "late / gain=1", "late / gain=2"]),
        (BOTH, [], {"vary": ["first"], "swaps": {"end": "toy_scale,late"}},
         ["toy_scale / toy_scale", "toy_scale / late", "noise / toy_scale", "noise / late"]),
    ],
)  # fmt: skip
def test_choices_have_names_that_say_what_differs(
    tmp_path: Path, text: str, overrides: list[str], more: dict[str, Any], expected: list[str]
) -> None:
    assert listed(tmp_path, text, *overrides, **more) == expected


LISTS = """from dspgraph import *

class Listed(Node):
    '''A list and a text.'''
    x = Input(Audio)
    y = Output(Audio)
    values: tuple[int, ...] = Field((1,), description='values')
    text: str = Field('', description='text')

    def step(self, state, x):
        return state, x
"""


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("end.values=[1,2],[3]", [((1, 2), ""), ((3,), "")]),
        ("end.values=[1,2]", [((1, 2), "")]),
        ("end.text='a,b',c", [((1,), "a,b"), ((1,), "c")]),
        ('end.text="a,b"', [((1,), "a,b")]),
        ("end.text=it's,b", [((1,), "it's"), ((1,), "b")]),
        ("end.text='[',c", [((1,), "["), ((1,), "c")]),
    ],
)
def test_a_comma_in_a_bracket_or_in_quotes_parts_no_values(tmp_path: Path, override: str, values: list[Any]) -> None:
    (tmp_path / "listed.py").write_text(LISTS)
    (tmp_path / "mine.yaml").write_text(
        "inputs: {x: {audio: 16000}}\nnodes: {end: {node: listed, x: x}}\noutputs: {y: end}\n"
    )
    found = choices(tmp_path / "mine.yaml", [override], plugins=[tmp_path / "listed.py"])
    nodes = [choice.graph.nodes["end"].model_dump() for choice in found if isinstance(choice, Choice)]
    assert [(tuple(node["values"]), node["text"]) for node in nodes] == values


@pytest.mark.parametrize("slot", ["a.end", "a/end"])
def test_a_slot_inside_a_pipeline_that_is_a_node_may_be_fixed(tmp_path: Path, slot: str) -> None:
    (tmp_path / "in.yaml").write_text(ONE)
    outer = "inputs: {x: {audio: 16000}}\nnodes: {a: {pipeline: in.yaml, x: x}}\noutputs: {y: a}\n"
    assert listed(tmp_path, outer, swaps={slot: "late"}) == ["mine"]
    with pytest.raises(PipelineError, match="has no variants of 'ent'; did you mean 'end'"):
        listed(tmp_path, outer, swaps={slot.replace("end", "ent"): "late"})


def test_what_cannot_be_compared_says_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^'synth=lpcnet' cannot be compared: .*weights is not given.*; change "
                       r"that with -s, or leave synth as it is with --vary pitch,excitation$"):  # fmt: skip
        choices("bark_lpc_vocoder")
    with pytest.raises(
        RequestError, match=r"'late' cannot be compared: .*no parameter 'factor'.* --swap end=toy_scale$"
    ):
        listed(tmp_path, ONE, "end.factor=2")
    for overrides in (["ent.factor=1"], ["ent.factor=1,2"]):
        with pytest.raises(UnknownName, match="^'ent.factor=1': no node is called 'ent'; did you mean 'end'?"):
            listed(tmp_path, ONE, *overrides)
    with pytest.raises(UnknownName, match="mine.yaml has no slot 'ent' to vary; did you mean 'end'?"):
        listed(tmp_path, ONE, vary=["ent"])
    with pytest.raises(UnknownName, match="mine.yaml has no slot 'ent' to vary; did you mean 'end'?"):
        listed(tmp_path, ONE, swaps={"ent": "late,toy_scale"})
    with pytest.raises(UnknownName, match="'lte'.*did you mean 'late'"):
        listed(tmp_path, ONE, swaps={"end": "toy_scale,lte"})
    with pytest.raises(RequestError, match="the slot 'end' cannot have the variant 'late' in all graphs and vary too"):
        listed(tmp_path, ONE, vary=["end"], swaps={"end": "late"})
    with pytest.raises(RequestError, match="'gain=1,2' and 'gain=3' set the same value: drop one of them"):
        listed(tmp_path, ONE, "gain=1,2", "gain=3")


def test_a_comparison_of_too_many_graphs_is_refused_before_they_are_made(tmp_path: Path) -> None:
    values = ",".join(str(k) for k in range(100))
    with pytest.raises(
        RequestError, match=r"^more than 1000 graphs would be compared: vary fewer slots or fewer values"
    ):
        listed(tmp_path, SLOTS, *(f"{name}={values}" for name in ("gain", "end.factor", "first.factor")))  # 10**6
    slots = "".join(f"  s{k}: {{node: toy_scale, x: x}}\n" for k in range(40))
    variants = "".join(f"  s{k}: {{late: {{node: toy_late, x: x}}}}\n" for k in range(40))
    many = f"inputs: {{x: {{audio: 16000}}}}\nnodes:\n{slots}outputs: {{y: s0}}\nvariants:\n{variants}"
    with pytest.raises(RequestError, match="^more than 1000 graphs would be compared"):
        listed(tmp_path, many, vary=[f"s{k}" for k in range(40)])  # 2**40
