"""The digest of a graph covers the code that samples depend on, and no other code."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from dspgraph import Audio, Graph, load, registry
from dspgraph.closure import closure
from dspgraph.registry import shipped_pipelines
from dspgraph.wiring import provenance as module
from dspgraph.wiring.provenance import ENGINE_MODULES, computed_imports, library_version, provenance
from helpers.copies import copied, run_in
from helpers.networks import overrides
from helpers.toys import ToyScale, ToySum

NODE = """
from dspgraph import Array, Audio, Input, Node, Output

class {name}(Node):
    '''A node of a test.'''
    x = Input(Audio)
    y = Output(Audio)
    def step(self, state, x):
        {code}
        return state, x
"""

ALL = """
import json, sys
from dspgraph import load, registry
from dspgraph.wiring.provenance import provenance
kinds = {name: found.load() for name, found in registry.nodes().items()}
nodes = {name: [*provenance([kind])["sources"]] for name, kind in kinds.items()}
graphs = {name: load(name).digest for name in ("lpc_vocoder", "mulaw_bits", "gansynth")}
print(json.dumps({"nodes": nodes, "graphs": graphs}))
"""


def plugin_graph(folder: Path, name: str, code: str) -> Graph:
    """Return a graph of one node of a plugin; the node runs some code in `step`.

    folder: where the plugin is written; name: the class of the node, one capital and small letters; code: one line, or
    several with 8 blanks more before all but the first. It may change the samples x.
    """
    path = folder / f"{name.lower()}.py"
    path.write_text(NODE.format(name=name, code=code))
    kind = registry.find(name.lower(), [path])
    return Graph({"a": kind()}, {"a.x": "x"}, {"x": Audio(16000)}, {"y": "a"})


class Tree:
    """A copy of the core, the nodes and the pipelines in a folder, where files can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = copied(folder)
        self.found = run_in(folder, ALL)

    def changed(self, *files: str) -> tuple[set[str], set[str]]:
        """Add a comment to these files; return the nodes whose sources, and the pipelines whose digests, have changed.

        Only the pipelines in ALL are looked at, and the sources of a node are without the engine. files: paths in the
        tree. A change stays for later calls, which compare with the tree as it was before them.
        """
        before = self.found
        for file in files:
            path = self.folder / file
            path.write_text(path.read_text() + "\n# a comment\n")
        self.found = run_in(self.folder, ALL)
        nodes, graphs = (
            {name for name, digest in before[part].items() if self.found[part][name] != digest}
            for part in ("nodes", "graphs")
        )
        return nodes, graphs


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


def test_code_that_is_edited_while_it_runs_keeps_its_digest(tmp_path: Path) -> None:
    """A running process keeps the digest of the code that it has loaded, even if the file is edited.

    Otherwise a later process would take results of the old code for results of the new code.
    """
    for name in ("used_before", "only_loaded"):
        (tmp_path / name).mkdir()
    graph = plugin_graph(tmp_path / "used_before", "Edited", "x = 2 * x")
    digest = graph.digest
    other = plugin_graph(tmp_path / "only_loaded", "Edited", "x = 2 * x")
    for name in ("used_before", "only_loaded"):
        (tmp_path / name / "edited.py").write_text(NODE.format(name="Edited", code="x = 3 * x"))
    assert graph.evolve()(x=[1.0])["y"] == other(x=[1.0])["y"] == [2.0]
    assert graph.evolve().digest == digest
    assert other.digest == digest


def test_computed_imports_of_plugins_are_reported_and_those_of_the_project_are_not(tmp_path: Path) -> None:
    graph = plugin_graph(tmp_path, "Secret", "from importlib import import_module; import_module('js' + 'on')")
    own = plugin_graph(tmp_path, "Own", "import dspgraph.registry")
    kinds = {type(one.nodes["a"]) for one in (graph, own)}
    assert computed_imports(kinds) == [f"{tmp_path / 'secret.py'}:9"]


def test_training_code_and_the_rest_of_the_core_are_part_of_no_digest(tree: Tree) -> None:
    files = ["network", "training", "data", "cpu"]
    training = [f"nodes/dspgraph_nodes/models/lpcnet/{name}.py" for name in files]
    assert tree.changed(*training, "dspgraph/evaluation/metrics/cepstral.py", "dspgraph/__init__.py") == (set(), set())


def test_a_kernel_is_part_of_the_digests_of_the_nodes_that_import_it(tree: Tree) -> None:
    nodes, graphs = tree.changed("nodes/dspgraph_nodes/_kernels/signal/levinson.py")
    assert (nodes, graphs) == ({"lpc", "bark_cepstrum_to_lpc"}, {"lpc_vocoder"})


def test_a_node_is_part_of_its_own_digest_alone(tree: Tree) -> None:
    assert tree.changed("nodes/dspgraph_nodes/codes/mulaw_encode.py") == ({"mulaw_encode"}, {"mulaw_bits"})


def test_an_engine_module_is_part_of_every_digest(tree: Tree) -> None:
    nodes, graphs = tree.changed("dspgraph/engine/plan.py")
    assert (nodes, graphs) == (set(), {"lpc_vocoder", "mulaw_bits", "gansynth"})


def test_the_engine_is_what_runs_a_graph() -> None:
    files = {name for part in ENGINE_MODULES for name in closure(part).files}
    modules = {"graph", "streams", "node", "wiring.wiring", "wiring.binding", "engine.plan", "engine.session"}
    assert {f"dspgraph.{name}" for name in modules | {"engine.batch"}} <= files
    floors = {name.split(".")[1] for name in files}
    core = {"_version", "closure", "shown", "errors", "parameters", "streams", "node", "wiring", "engine", "graph"}
    assert floors <= core


def changes_with_the_version_of(library: str, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> bool:
    before = graph.digest
    with monkeypatch.context() as patch:
        patch.setattr(module, "library_version", lambda name: "1" if name == library else library_version(name))
        return graph.evolve().digest != before


@pytest.mark.thorough
def test_the_version_of_a_library_changes_the_graphs_whose_nodes_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = plugin_graph(tmp_path, "Learned", "import torch.nn.functional")
    typed = plugin_graph(tmp_path, "Typed", "import scipy.signal")
    for name, graph in {
        "learned": learned,
        "typed": typed,
        **{one: pipeline(one) for one in shipped_pipelines()},
    }.items():
        assert changes_with_the_version_of("torch", graph, monkeypatch) == (name == "learned"), name
        assert changes_with_the_version_of("pyworld", graph, monkeypatch) == (name == "world"), name
        assert changes_with_the_version_of("numpy", graph, monkeypatch), name
        assert not changes_with_the_version_of("click", graph, monkeypatch), name


def pipeline(name: str) -> Graph:
    return load(name, overrides(name))


def test_a_library_that_is_not_installed_is_said_to_be_absent(tmp_path: Path) -> None:
    graph = plugin_graph(
        tmp_path, "Optional", "try:\n            import nowhere.inside\n        except ImportError: pass"
    )
    assert graph.description["versions"]["nowhere"] == "absent"
    assert graph(x=[1.0])["y"] == [1.0]


def test_a_library_of_another_name_than_its_distribution_has_a_version() -> None:
    from importlib.metadata import version

    assert library_version("yaml") == version("pyyaml")


@pytest.mark.parametrize("name", sorted(registry.nodes()))
def test_a_shipped_node_imports_no_computed_name_and_no_torch(name: str) -> None:
    """The digest would not cover a module imported by a computed name; torch is not needed, because no node learns."""
    found = closure(registry.nodes()[name].load().__module__)
    assert found.computed == ()
    assert "torch" not in found.libraries


def test_the_engine_imports_no_computed_name() -> None:
    assert [closure(part).computed for part in ENGINE_MODULES] == [()] * len(ENGINE_MODULES)


@pytest.mark.process
def test_a_class_made_in_an_interactive_session_has_a_digest_that_stays() -> None:
    code = (
        NODE.format(name="Mine", code="pass")
        + "from dspgraph import Graph\n"
        + "g = Graph({'a': Mine()}, {'a.x': 'x'}, {'x': Audio(16000)}, {'y': 'a'})\n"
        + "print(g.digest, *g.description['sources'])"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].split()[1] == hashlib.sha256().hexdigest()


def test_nodes_of_one_file_have_one_source() -> None:
    assert [*provenance({ToyScale, ToySum})["sources"].values()] == [["toy_scale", "toy_sum"]]
