"""The registry: packages and plugins that are broken, given twice, or needed in another process."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dspgraph import RequestError, load, registry
from helpers.paths import TOYS
from helpers.surroundings import no_longer_than


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run(*arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command `dspgraph` with some arguments in a new process, and return the finished process.

    path: a folder that is added to `sys.path`, as after `pip install` of a package in it; None: no folder.
    """
    folders = [str(path)] if path else []
    begin = f"import sys; sys.path[:0] = {[*folders, *filter(None, sys.path)]!r}; from dspgraph.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", begin, *map(str, arguments)], capture_output=True, text=True)


# ---- packs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a folder with an installed package whose three nodes cannot be used.

    One cannot be imported, one is not a node, and one ends the program.
    """
    site = tmp_path / "site"
    written(site / "brokenpack-0.1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: brokenpack\nVersion: 0.1\n")
    written(
        site / "brokenpack-0.1.dist-info" / "entry_points.txt",
        "[dspgraph.nodes]\nbroken = nowhere.module:Broken\nnumber = brokenpack:NUMBER\nleaves = brokenpack_leaves:X\n",
    )
    written(site / "brokenpack.py", "NUMBER = 3\n")
    written(site / "brokenpack_leaves.py", "raise SystemExit(0)\n")
    return site


def test_a_broken_pack_is_reported_in_the_list_and_breaks_nothing_else(broken: Path) -> None:
    listing = run("nodes", path=broken)
    assert listing.returncode == 0, listing.stderr
    assert "(broken) the node 'broken' of brokenpack (nowhere.module:Broken) cannot be loaded" in listing.stdout
    assert "ModuleNotFoundError" in listing.stdout
    assert "linear-prediction coefficients" in listing.stdout
    schema = run("schema", path=broken)
    assert schema.returncode == 0, schema.stderr
    assert '"node.lpc"' in schema.stdout
    assert "node.broken" not in schema.stdout


def test_a_broken_pack_spoils_no_other_message(broken: Path, tmp_path: Path) -> None:
    wrong = "inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_energy, frames: x}}\noutputs: {y: end.level}\n"
    path = written(tmp_path / "mine.yaml", wrong)
    done = run("show", path, "--plugin", TOYS, path=broken)
    assert done.returncode == 2
    assert "'toy_frames' node between them" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "the node 'broken' of brokenpack (nowhere.module:Broken) cannot be loaded: ModuleNotFoundError"),
        ("number", "the node 'number' of brokenpack (brokenpack:NUMBER) is 3, not a node class"),
        ("leaves", "the node 'leaves' of brokenpack (brokenpack_leaves:X) cannot be loaded: SystemExit: 0"),
    ],
)
def test_asking_for_a_broken_node_names_its_pack(broken: Path, tmp_path: Path, name: str, message: str) -> None:
    text = f"inputs: {{x: {{audio: 16000}}}}\nnodes:\n  end: {{node: {name}, x: x}}\noutputs: {{y: end}}\n"
    done = run("show", written(tmp_path / "mine.yaml", text), path=broken)
    assert done.returncode == 2
    assert f"mine.yaml:3: nodes.end.node: {message}" in done.stderr
    assert "Traceback" not in done.stderr


# ---- pipelines, models and metrics of packs -------------------------------------------------------------------------


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return a folder with an installed package `voices`.

    It has the pipelines `louder` and `lost` (the file of `lost` is missing), a model `number`, and a metric `broken`,
    whose module is missing.
    """
    site = tmp_path / "site"
    info = site / "voices-0.1.dist-info"
    written(info / "METADATA", "Metadata-Version: 2.1\nName: voices\nVersion: 0.1\n")
    entries = {
        "pipelines": "louder = voices.files:loud\nlost = voices:lost\n",
        "models": "number = voices:NUMBER\n",
        "metrics": "broken = voices.nowhere:Metric\n",
    }
    written(info / "entry_points.txt", "".join(f"[dspgraph.{group}]\n{text}" for group, text in entries.items()))
    written(site / "voices" / "__init__.py", "NUMBER = 3\n")
    written(
        site / "voices" / "files" / "loud.yaml",
        "about: Twice as loud.\ninputs: {x: {audio: 16000}}\nnodes: {end: {node: gain, x: x}}\noutputs: {y: end}\n"
        "variants: {end: {late: {node: delay, x: x}}}\n",
    )
    written(site / "voices" / "files" / "__init__.py", "raise SystemExit('nothing of a pipeline is run')\n")
    return site


def test_a_pipeline_of_a_pack_has_a_name_like_any_other(pack: Path) -> None:
    shown = run("show", "louder", path=pack)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^end +gain ", shown.stdout, re.M)
    wrong = run("show", "loudr", path=pack)
    assert "no pipeline is called 'loudr'; did you mean 'louder'?" in wrong.stderr


def script(code: str, path: Path) -> str:
    begin = f"import sys; sys.path.insert(0, {str(path)!r}); from dspgraph import registry\n"
    done = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_broken_pipeline_of_a_pack_is_reported_in_the_list(pack: Path) -> None:
    code = "from dspgraph.pipeline.pipeline import summaries\nfor one in summaries(): print(one.name, one.pack, one.about, one.slots)"
    lines = {line.partition(" ")[0]: line for line in script(code, pack).splitlines()}
    assert lines["louder"] == "louder voices Twice as loud. {'end': ('gain', 'late')}"
    assert re.fullmatch(
        r"lost voices \(broken\) the pipeline cannot be read: .*/voices/lost\.yaml does not exist {}", lines["lost"]
    )
    assert lines["lpc_vocoder"].startswith("lpc_vocoder dspgraph ")


def test_two_pipelines_of_one_name_name_their_packs(pack: Path) -> None:
    info = pack / "voices-0.1.dist-info" / "entry_points.txt"
    info.write_text(info.read_text().replace("louder", "lpc_vocoder"))
    said = script("try: registry.pipelines()\nexcept Exception as error: print(repr(error))", pack)
    assert "two pipelines are called 'lpc_vocoder': one of dspgraph and one of voices: uninstall one" in said


def test_models_and_metrics_of_packs_are_found_and_loaded_when_asked_for(pack: Path) -> None:
    code = (
        "(model,), (metric,) = registry.announced(registry.MODEL_GROUP), registry.announced(registry.METRIC_GROUP)\n"
        "print(model.name, model.pack, model.where, 'voices' in sys.modules, model.load())\n"
        "try: metric.load()\nexcept registry.RequestError as error: print(error)"
    )
    first, second = script(code, pack).splitlines()
    assert first == "number voices voices:NUMBER False 3"
    assert second.startswith("the metric 'broken' of voices (voices.nowhere:Metric) cannot be loaded: ModuleNotFound")


# ---- plugins --------------------------------------------------------------------------------------------------------


def test_a_plugin_that_leaves_the_program_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "leaves.py", "import sys\nsys.exit(0)\n")
    with pytest.raises(RequestError, match=r"the plugin .*leaves.py failed while it was imported: SystemExit: 0"):
        registry.nodes([path])


def _long(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)  # 1 TiB, none of which is on the disk


BAD_PLUGINS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to itself": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "a pipe": (os.mkfifo, "is no regular file"),
    "too long": (_long, "has more than 16777216 bytes"),
    "not there": (lambda path: None, "does not exist"),
    "another base": (lambda path: path.write_text("raise BaseException('odd')"), "BaseException: odd"),
}


@pytest.mark.parametrize("what", BAD_PLUGINS)
def test_a_plugin_that_cannot_be_imported_is_refused_at_once(tmp_path: Path, what: str) -> None:
    make, message = BAD_PLUGINS[what]
    path = tmp_path / "bad\udc80.py"  # a name that is no text in UTF-8
    make(path)
    with no_longer_than(5), pytest.raises(RequestError, match=rf"bad\\udc80.py.*{message}"):
        registry.nodes([path])


def test_a_plugin_given_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that is given by its path, by another path to it, and by a link is one plugin."""
    (tmp_path / "link.py").symlink_to(TOYS)
    monkeypatch.chdir(TOYS.parent)
    everything = registry.nodes([TOYS, TOYS, "toys.py", tmp_path / "link.py"])
    assert everything["toy_scale"].where == str(TOYS)


def test_a_plugin_with_a_path_too_long_for_a_file_is_refused() -> None:
    with pytest.raises(RequestError, match="cannot be read: File name too long"):
        registry.nodes(["a" * 300 + ".py"])


@pytest.mark.process
def test_a_node_of_a_plugin_is_pickled_for_another_process(tmp_path: Path) -> None:
    """A process that does not know the plugin unpickles the graph, and computes the same output."""
    text = "inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x, factor: 3}}\noutputs: {y: end}\n"
    graph = load(written(tmp_path / "mine.yaml", text), plugins=[TOYS])
    code = (
        "import pickle, sys, numpy\n"
        "graph = pickle.load(sys.stdin.buffer)\n"
        "print(graph.digest, graph(x=numpy.ones(2))['y'], pickle.loads(pickle.dumps(graph)) == graph)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(graph), capture_output=True, check=True)
    assert done.stdout.decode().split() == [graph.digest, "[3.", "3.]", "True"]
    assert pickle.loads(pickle.dumps(graph)) == graph


@pytest.mark.process
def test_a_file_of_metrics_that_is_a_plugin_too_has_nodes_for_another_process(tmp_path: Path) -> None:
    path = written(tmp_path / "both.py", TOYS.read_text())
    registry.imported_file(path, "metric")
    pickled = pickle.dumps(registry.find("toy_scale", [path])(factor=3))
    code = "import pickle, sys\nprint(pickle.load(sys.stdin.buffer).factor)"
    done = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["3.0"]


def test_a_file_of_metrics_without_nodes_is_no_plugin(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.py", "")
    module = registry.imported_file(path, "metric")
    with pytest.raises(RequestError, match="has no Node class in it"):
        registry.nodes([path])
    assert registry.imported_file(path, "metric") is module


def test_a_pickled_node_whose_file_has_changed_is_refused(tmp_path: Path) -> None:
    node = "from dspgraph import *\n\nclass {}(Node):\n    '''A.'''\n    x = Input(Audio)\n    y = Output(Audio)\n"
    path = written(tmp_path / "mine.py", node.format("Before"))
    kind = registry.find("before", [path])
    pickled = pickle.dumps(kind())
    del sys.modules[kind.__module__]
    path.write_text(node.format("After"))
    with pytest.raises(RequestError, match=r"mine.py no longer has the node class Before"):
        pickle.loads(pickled)
    del sys.modules[kind.__module__]
    path.unlink()
    with pytest.raises(RequestError, match="mine.py does not exist"):
        pickle.loads(pickled)


def test_the_summary_of_a_plugin_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = "# -*- coding: latin-1 -*-\nfrom dspgraph import *\n\nclass Mine(Node):\n    'Un caf\xe9.'\n    x = Input(Audio)\n"
    path.write_bytes((text + "    y = Output(Audio)\n").encode("latin-1"))
    assert registry.nodes([path])["mine"].summary() == "Un caf\xe9."
