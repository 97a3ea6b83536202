"""Vars: a value keeps its type, texts are put together, errors name a place, and the work is limited."""

from pathlib import Path
from typing import Any

import pytest

from dspgraph import PipelineError
from dspgraph.pipeline.interpolate import MOST_LETTERS, fill_vars
from dspgraph.pipeline.read import parse
from helpers.effort import soon

VARS = """\
vars:
  a: 1
  t: x
  l: [1, 2, {q: 5}]
  d: {k: 3, s: "${d.k}", e: null}
  c: "${d}"
  b: true
  f: 0.00001
  n: null
  esc: '\\${a}'
"""

FILLED: dict[str, Any] = {
    "${a}": 1, "${n}": None, "${l}": [1, 2, {"q": 5}], "${d}": {"k": 3, "s": 3, "e": None}, "${l.1}": 2, "${l.2.q}": 5,
    "${c.k}": 3, "${b}!": "True!", "${f}!": "1e-05!", "${n}!": "None!", "'${a}'": "'1'", "$${a}": "$1",
    "x\\n${a}": "x\\n1", "${a}\\": "1\\", "a\\\\b${a}": "a\\\\b1", "\\$ ${a}": "\\$ 1", "${a}${t}": "1x",
    "\\${a}": "${a}", "\\\\${a}": "\\1", "\\\\\\${a}": "\\${a}", "${a}\\${t}": "1${t}", "$\\${a}": "$${a}",
    "${a}:\\\\${t}": "1:\\x", "${esc}": "${a}", "${esc}!": "${a}!",
}  # fmt: skip
"""A text -> its value with the variables of VARS, recorded from OmegaConf 2.4.0, whose syntax this is."""


def filled(tmp_path: Path, text: str) -> dict[str, Any]:
    return fill_vars(parse(text, str(tmp_path / "mine.yaml"), lines=True))


@pytest.mark.parametrize("text", FILLED)
def test_a_text_becomes_what_its_vars_are(tmp_path: Path, text: str) -> None:
    source = parse(VARS, "mine.yaml", lines=True)
    source.data["about"] = text
    value = fill_vars(source)["about"]
    assert value == FILLED[text]
    assert type(value) is type(FILLED[text])


FAULTS = {
    "an unknown var": ("about: '${gian}'\nvars: {gain: 3}\n", r"mine.yaml:1: about: there is no var 'gian'; did you mean 'gain'\?"),
    "no vars": ("about: '${gain}'\n", r"mine.yaml:1: about: there is no var 'gain'; there are none"),
    "an unknown key": ("about: '${a.kee}'\nvars: {a: {key: 3}}\n", r"mine.yaml:1: about: there is no var 'a.kee'; did you mean 'key'\?"),
    "inside a number": ("about: '${a.b}'\nvars: {a: 3}\n", r"mine.yaml:1: about: there is no var 'a.b'; 3 has nothing inside"),
    "an index too far": ("about: '${a.2}'\nvars: {a: [1, 2]}\n", r"mine.yaml:1: about: there is no var 'a.2'; its list has 2 values, the first is 0"),
    "an index of nothing": ("about: '${a.x}'\nvars: {a: [1, 2]}\n", r"no var 'a.x'; its list has 2 values"),
    "a list in a text": ("about: 'of ${a}'\nvars: {a: [1]}\n", r"mine.yaml:1: about: 'of \$\{a\}': the var 'a' is a list, which cannot stand in a text"),
    "a mapping in a text": ("about: 'of ${a}'\nvars: {a: {b: 1}}\n", r"the var 'a' is a mapping"),
    "a var of itself": ("vars: {a: '${a}'}\n", r"mine.yaml:1: vars.a: the vars use each other in a circle: a -> a"),
    "a circle": ("vars:\n  a: '${b}'\n  b: 'x${c}'\n  c: ['${a}']\n", r"mine.yaml:4: vars.c.0: the vars use each other in a circle: a -> b -> c -> a|b -> c -> a -> b"),
    "a circle through what is inside": ("vars:\n  a: {b: '${a}'}\n", r"mine.yaml:2: vars.a.b: the vars use each other in a circle: a -> a"),
    "a fault in a var of a var": ("about: '${a}'\nvars:\n  a: '${b}'\n  b: '${c}'\n", r"mine.yaml:4: vars.b: there is no var 'c'"),
    "an empty name": ("about: '${}'\n", r"mine.yaml:1: about: \$\{...\} takes the name of a var and nothing else"),
    "a name within a name": ("about: '${a${b}}'\nvars: {b: 3}\n", r"takes the name of a var"),
    "no end": ("about: '${a'\nvars: {a: 3}\n", r"takes the name of a var"),
    "a relative name": ("about: '${.a}'\n", r"takes the name of a var"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_an_error_with_its_place(tmp_path: Path, what: str) -> None:
    text, message = FAULTS[what]
    with pytest.raises(PipelineError, match=message):
        filled(tmp_path, text)


def test_two_uses_of_one_var_are_two_values(tmp_path: Path) -> None:
    data = filled(tmp_path, "vars: {a: [1, {b: 2}]}\ninputs: ['${a}', '${a}']\n")
    data["inputs"][0][1]["b"] = 3
    assert data["inputs"][1] == data["vars"]["a"] == [1, {"b": 2}]


def levels(count: int, last: str, each: str) -> str:
    """Return the YAML text of `vars` with the variables a0, a1 and so on, each made from the next one.

    last: the value of the last variable, number `count`. each: the value of the others, a text for `str.format`, in
    which {next} stands for the reference to the next one.
    """
    lines = [f"  a{k}: {each.format(next=f'${{a{k + 1}}}')}" for k in range(count)]
    return "\n".join(["vars:", *lines, f"  a{count}: {last}", ""])


TOO_MUCH = {
    "a text that doubles": levels(40, "ha", "'{next}{next}'"),
    "a list that doubles": levels(40, "ha", "['{next}', '{next}']"),
    "a mapping that grows tenfold": levels(12, "ha", "{{" + ", ".join(f"k{k}: '{{next}}'" for k in range(10)) + "}}"),
    "a long text, often": f"about: '{'${a}' * 5000}'\nvars: {{a: {'h' * 5000}}}\n",
    "one text as thousands of values": f"vars: {{a: &a {'h' * 5000}}}\ninputs: [{'*a, ' * 5000}]\n",
    "a list of numbers, often": "vars: {a: [" + "1, " * 1000 + "]}\ninputs: [" + "'${a}', " * 50 + "]\n",
    "one after another": levels(1000, "1", "'{next}'"),
    "one in another": levels(1000, "1", "['{next}']"),
    "one in another, from the inside": "vars:\n  a0: 1\n" + "".join(f"  a{k + 1}: ['${{a{k}}}']\n" for k in range(1000)),
}  # fmt: skip


@pytest.mark.parametrize("what", TOO_MUCH)
def test_vars_that_would_fill_the_memory_are_refused_at_once(tmp_path: Path, what: str) -> None:
    """Vars beyond the limits are refused at once; without a limit, most of these files would never be finished."""
    source = parse(TOO_MUCH[what], "mine.yaml", lines=True)
    message = r"mine.yaml:\d+: .*more than 10000 values, 4000000 letters or 50 levels"
    with soon(), pytest.raises(PipelineError, match=message):
        fill_vars(source)


def test_a_million_backslashes_are_read_at_once(tmp_path: Path) -> None:
    """900,000 backslashes before a variable are read in a short time.

    A regular expression that tries each backslash as a beginning would need a quadratic number of steps.
    """
    slashes = "\\" * 900_000
    with soon():
        assert filled(tmp_path, f"about: '{slashes}a${{a}}'\nvars: {{a: 1}}\n")["about"] == f"{slashes}a1"


def test_what_a_person_writes_is_far_from_the_limits(tmp_path: Path) -> None:
    assert filled(tmp_path, levels(14, "1", "'{next}'"))["vars"]["a0"] == 1
    text = "h" * (MOST_LETTERS // 5)  # it counts in its var, where the var is used, and in the text around it
    assert filled(tmp_path, f"vars: {{a: {text}}}\nabout: '${{a}}!'\n")["about"] == text + "!"
