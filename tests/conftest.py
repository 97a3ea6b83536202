"""The options of the test run, and the settings that tests need in their process."""

import gc
import signal
from pathlib import Path

import pytest

from dspgraph.registry import NodeSource
from dspgraph_nodes._kernels.compile import jit
from helpers.alone import LIBROSA, import_alone
from helpers.paths import TESTS

# A program that a shell starts in the background ignores Ctrl-C, and so do the programs that it starts. The programs
# whose interruption is tested must not inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Whether a kernel is compiled during a test depends on the tests before it. So the notice about compilation, which some
# tests would see, never appears.
jit.NOTICE.patience = 3600.0

NOT_QUICK = [
    TESTS / name
    for name in ("nodes", "kernels", "models", "training", "plotting", "live/test_devices.py", "live/test_live.py",
                 "live/test_second_clock.py", "cli/test_live.py", "cli/test_compare.py", "cli/test_notes.py",
                 "cli/test_plot.py", "evaluation/test_compare.py", "evaluation/test_metric_formulas.py",
                 "evaluation/test_metrics.py", "evaluation/test_report.py", "io/test_containers.py", "io/test_flac.py",
                 "io/test_mpeg.py", "io/test_ogg.py", "io/test_positions.py", "system/test_levels.py",
                 "system/test_pipelines.py", "testing/test_files.py", "testing/test_models.py",
                 "testing/test_planted_faults.py")
]  # fmt: skip
"""Folders and files that `--quick` leaves out. Their tests compare with other programs, train, draw, use a browser,
compare variants, render every pipeline, read audio files of every kind in many parts, play live or simulate an hour of
it, or test the checks of nodes and models.
"""

LEFT_OUT_OF_QUICK = {"slow", "process", "browser", "cluster", "training", "thorough"}
"""Marks of the tests that `--quick` leaves out."""

MARK_OF_FIXTURE = {
    "browser": "browser",
    "cluster": "cluster",
    "tree": "process",
    "broken": "process",
    "pack": "process",
}
"""Name of a fixture -> the mark of all tests that use it."""

SHARED = ("browser", "cluster", "undisturbed", "alone")
"""Fixtures that take long to make. For each of them, the tests that use it run in one process."""

COMPILED = {
    TESTS / "models" / "fargan": "fargan training",
    TESTS / "models" / "lpcnet": "lpcnet training",
    TESTS / "models" / "wavenet": "wavenet",
    TESTS / "models" / "wavenet_autoencoder": "wavenet",
    TESTS / "models" / "wavernn": "wavernn",
    TESTS / "kernels" / "test_lpcnet_synthesis.py": "lpcnet",
    TESTS / "kernels" / "test_wavenet_synthesis.py": "wavenet",
    TESTS / "kernels" / "test_wavernn_synthesis.py": "wavernn",
}
"""Folder or file of tests -> its group. The tests of a group run in one process, so that their kernels are compiled
once. Each node has a group too.
"""

SPREAD = {
    TESTS / name
    for name in (
        "rendering/test_executors.py",
        "cli/test_process.py",
        "system/test_laws.py",
        "system/test_levels.py",
        "system/test_pipelines.py",
    )
}
"""Files whose tests take long and share little. Like slow tests, those without a group may run in several processes;
the other tests without a group run in one process per file.
"""


FIRST = {TESTS / "rendering" / "test_executors.py", TESTS / "cli" / "test_process.py"}
"""Files that begin first: their tests often wait for other processes, and meanwhile other tests can run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="the core, and every node at a few cuts, in under a minute")
    parser.addoption("--node", metavar="NAME", help="one node alone: its own tests and its laws")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("--quick") and collection_path in NOT_QUICK else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for name, mark in MARK_OF_FIXTURE.items():
            if name in fixtures:
                item.add_marker(mark)
        places = (item.path, item.path.parent)
        groups = {name for name in SHARED if name in fixtures} | {COMPILED[path] for path in places if path in COMPILED}
        groups |= _nodes_of(item)
        if not groups and item.path not in SPREAD and not item.get_closest_marker("slow"):
            groups = {str(item.path.relative_to(TESTS))}
        for name in groups:
            item.add_marker(pytest.mark.xdist_group(name))

    def is_wanted(item: pytest.Item) -> bool:
        if config.getoption("--quick") and any(mark.name in LEFT_OUT_OF_QUICK for mark in item.iter_markers()):
            return False
        name = config.getoption("--node")
        return not name or name in _nodes_of(item)

    found: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        found[is_wanted(item)].append(item)
    if config.getoption("--node") and not found[True]:
        raise pytest.UsageError(f"no test is of a node '{config.getoption('--node')}': `dspgraph nodes` lists them")
    config.hook.pytest_deselected(items=found[False])
    items[:] = sorted(found[True], key=lambda item: item.path not in FIRST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first test, import librosa if tests compare with it (see `LIBROSA`), and collect all garbage.

    The tests and modules that exist then stay to the end: the garbage collector need not look at them again.
    """
    if any(hasattr(getattr(item, "module", None), "librosa") for item in session.items):
        import_alone(LIBROSA)
    gc.collect()
    gc.freeze()


def _nodes_of(item: pytest.Item) -> set[str]:
    """Return the names of the nodes that a test is about.

    These are the node after which the test's file in tests/nodes is called, and the nodes among the parameters of the
    test.
    """
    names = set()
    if Path(item.path).parent.parent.name == "nodes":
        names.add(item.path.stem.removeprefix("test_"))
    parameters = getattr(item, "callspec", None)
    values = parameters.params.values() if parameters else ()
    return names | {value.name for value in values if isinstance(value, NodeSource)}


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Return whether the option `--quick` is given: laws are then checked in one precision only."""
    return bool(request.config.getoption("--quick"))
