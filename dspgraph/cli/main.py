"""The command line. Exit codes: 0 done; 1 some files failed, or a law is broken; 2 the request itself was wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dspgraph._version import __version__
from dspgraph.cli.output import Reporter, print_means, print_tables
from dspgraph.errors import DspgraphError, FileError, LawError, RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dspgraph.graph import Graph
    from dspgraph.node import Node
    from dspgraph.rendering.job import Executor
    from dspgraph.streams import Array, Stream


class _Path(click.Path):
    """A path that says where. An empty one, of a variable that is not set, would be the folder one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty path names nothing: is a variable not set?", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)


class _Group(click.Group):
    """A group whose commands end in one clear message, never in a traceback, when the request was wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
        try:
            return super().invoke(ctx)
        except DspgraphError as error:
            click.echo(f"dspgraph: {error}", err=True)
            ctx.exit(1 if isinstance(error, LawError) else 2)
        except KeyboardInterrupt:
            click.echo("dspgraph: interrupted", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Vocoders as graphs of small stages, where the cut changes nothing."""


def _pipeline_options(command: Callable[..., None]) -> Callable[..., None]:
    """PIPELINE and what may be changed in it, the same for every command that takes one."""

    @click.argument("pipeline")
    @click.option("-s", "--set", "overrides", multiple=True, metavar="NODE.PARAMETER=VALUE", help="Or VAR=VALUE.")
    @click.option("--swap", "swaps", multiple=True, metavar="SLOT=VARIANT", help="Put a variant into a slot.")
    @click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
    @wraps(command)
    def wrapped(**options: Any) -> None:
        options["swaps"] = _pairs(options["swaps"])
        command(**options)

    return wrapped


def _executor_options(command: Callable[..., None]) -> Callable[..., None]:
    """Who does the work, the same for every command that has much of it."""

    @click.option("-j", "--jobs", type=click.IntRange(1), help="Processes at a time; all cores with --executor alone.")
    @click.option("--executor", type=click.Choice(["serial", "process", "ray"]), help="process, if there are --jobs.")
    @click.option("--address", help="Of a Ray cluster, or auto; without it one is started here.")
    @wraps(command)
    def wrapped(jobs: int | None, executor: str | None, address: str | None, **options: Any) -> None:
        command(executor=_executor(executor, jobs, address), **options)

    return wrapped


def _pairs(swaps: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for swap in swaps:
        slot, equals, variant = swap.partition("=")
        if not equals:
            raise RequestError(f"--swap {swap}: write SLOT=VARIANT, for instance excitation=residual")
        if slot in pairs:
            raise RequestError(f"--swap {slot}={pairs[slot]} and --swap {swap}: one slot takes one variant: drop one")
        pairs[slot] = variant
    return pairs


def _executor(name: str | None, jobs: int | None, address: str | None) -> Executor:
    from dspgraph.rendering.executors import Processes, Ray
    from dspgraph.rendering.job import Serial

    if address is not None and name != "ray":
        raise RequestError("--address is of a Ray cluster: give --executor ray too")
    if name == "ray":
        return Ray(jobs, address)
    if name == "process" or (name is None and jobs not in (None, 1)):
        return Processes(jobs)
    if jobs not in (None, 1):
        raise RequestError(f"--executor serial is one job; found --jobs {jobs}: drop one of them")
    return Serial()


# ---- commands -------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--out", default="demo", show_default=True, help="Folder for the files.", type=PATH)
@click.option("--weights", help="Of a trained model: it is then compared too.", type=PATH)
def demo(out: Path, weights: Path | None) -> None:
    """Resynthesise a real recording with every excitation of `lpc_vocoder`: a page to listen to, and a picture."""
    from dspgraph.evaluation.compare import PAGE, REFERENCE, Choice, audio_files, choices, compare
    from dspgraph.io.audio import example_speech
    from dspgraph.pipeline.pipeline import Pipeline, load
    from dspgraph.plotting.figures import spectrograms
    from dspgraph.training.run import model_of

    found = choices("lpc_vocoder")
    if weights:
        model, overrides = model_of(weights), [f"weights={weights}"]
        found.append(Choice(model, load(model, overrides), overrides=overrides))
    clip = example_speech()
    click.echo(f"lpc_vocoder{f' and {found[-1].name}' if weights else ''} on {clip.name}:")
    results = compare(found, [clip], out, "lpc_vocoder", Pipeline("lpc_vocoder").document.about)
    errors = [score.error for score in results.scores if score.error]
    if errors:
        raise DspgraphError(errors[0])
    print_means(results)
    pictures = audio_files(out, [REFERENCE, *(choice.name for choice in found)], clip.stem)
    click.echo(f"  spectrograms  {spectrograms(pictures, out / 'spectrograms.png')}")
    click.echo(f"  to listen to  {out / PAGE}")


@main.command()
@_pipeline_options
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the results.", type=PATH)
@click.option(
    "--format", "suffix", type=click.Choice(["flac", "wav", "ogg"]), default="flac", show_default=True, help="Of audio."
)
@_executor_options
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Signals stepped together.")
@click.option("--resume", is_flag=True, help="Leave what is done, and what failed, as it is: go on where a run ended.")
@click.option("--retry-failed", is_flag=True, help="Go on, and try again what failed.")
@click.option("--profile", "profiled", is_flag=True, help="What each node costs, and whether it would run live here.")
@click.option("--log-json", "as_json", is_flag=True, help="A line of JSON for each item, for machines.")
def render(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    suffix: str,
    executor: Executor,
    batch: int,
    resume: bool,
    retry_failed: bool,
    profiled: bool,
    as_json: bool,
) -> None:
    """Render FILES with PIPELINE (a shipped name or a .yaml file).

    FILES are audio files, folders, patterns (quoted, ** goes into folders) and manifests: .jsonl or .csv with id, path,
    start, duration, channel; wav.scp, segments. Audio goes to the one audio input of a pipeline; .npz files hold every
    input by name. What comes out as audio is written as such, everything else into one .npz file, beside each a .json
    file that says where it comes from, and in ledger.jsonl what became of each.
    """
    from dspgraph.engine.profiling import Profile
    from dspgraph.pipeline.pipeline import load
    from dspgraph.rendering.render import render as render_files

    graph = load(pipeline, overrides, swaps, plugins)
    profile = Profile(graph) if profiled else None
    with Reporter(as_json) as report:
        try:
            render_files(
                graph,
                files,
                out,
                f".{suffix}",
                report.row,
                resume=resume,
                retry_failed=retry_failed,
                batch=batch,
                executor=executor,
                profile=profile,
                started=report.started,
            )
        except KeyboardInterrupt:
            click.echo("dspgraph: interrupted; what is done is kept: the same with --resume goes on", err=True)
            sys.exit(130)
        except SystemExit as end:
            raise DspgraphError(
                f"a node or a plugin ended the program (exit code {end.code}); what is done is kept"
            ) from None
    report.end()
    if profile:
        print_tables({"profile": profile.table()}, err=as_json)
        click.echo(profile.verdict(), err=as_json)
    failed, every = report.counts["failed"], sum(report.counts.values())
    if failed:
        click.echo(f"dspgraph: {failed} of {every} failed; the reasons stand above", err=True)
        sys.exit(1)


@main.command()
@_pipeline_options
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the results.", type=PATH)
@click.option("--vary", help="Slots, of which all combinations are compared.", metavar="SLOT,SLOT")
@click.option("--metrics", "names", help="Of all there are, these.", metavar="NAME,NAME")
@click.option("--assets", is_flag=True, help="Sounds and pictures beside the page, not in it.")
@_executor_options
def compare(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    vary: str | None,
    names: str | None,
    assets: bool,
    executor: Executor,
) -> None:
    """Compare variants of PIPELINE on FILES, by number and by ear.

    Every variant of one slot at a time; with --vary all combinations of some slots; with -s NAME=VALUE,VALUE every
    value. What several have in common is computed once. OUT gets the audio, results.csv, results.json and report.html,
    a page to listen to.
    """
    from dspgraph.evaluation.compare import PAGE, Compared, choices
    from dspgraph.evaluation.compare import compare as compare_choices
    from dspgraph.pipeline.pipeline import Pipeline

    slots = None if vary is None else [slot.strip() for slot in vary.split(",")]
    found = choices(pipeline, overrides, swaps, plugins, slots)
    described = Pipeline(pipeline, (), None, plugins)
    with Reporter(as_json=False) as report:

        def report_row(row: Compared) -> None:
            for error in row.errors:
                report.say(f"failed: {error}", failed=True)
            if row.notes:
                report.say(f"{row.id}: {'; '.join(row.notes)}", failed=False)
            report.count("failed" if row.errors else "done", row.seconds)

        results = compare_choices(
            found,
            files,
            out,
            described.name,
            described.document.about,
            [name.strip() for name in names.split(",")] if names is not None else None,
            executor=executor,
            assets=assets,
            started=lambda due: report.started(due, 0),
            done=report_row,
        )
    report.end()
    print_means(results)
    click.echo(f"  to listen to  {out / PAGE}")
    click.echo(f"  in numbers    {out / 'results.csv'}, and results.json with intervals of 95 %")
    failed = {score.recording for score in results.scores if score.error}
    if failed:
        click.echo(f"dspgraph: {len(failed)} of {len(results.recordings)} recordings failed, in part or all", err=True)
        sys.exit(1)


@main.command()
@click.argument("reference", type=PATH)
@click.argument("degraded", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="With the settings and versions of all metrics.")
def score(reference: Path, degraded: Path, as_json: bool) -> None:
    """Say by every metric how far the file DEGRADED is from the file REFERENCE."""
    from dspgraph.evaluation import metrics

    found, values, notes = metrics.score(reference, degraded)
    if as_json:
        rows = [{**asdict(metric), "value": values[metric.name]} for metric in found]
        click.echo(json.dumps({"metrics": rows, "notes": notes}, indent=1))
        return
    for note in notes:
        click.echo(note, err=True)
    shown = [(values[one.name], one) for one in found]
    lines = [(one.name, "-" if value is None else f"{value:.4g} {one.unit}".strip(), one.about) for value, one in shown]
    print_tables({f"{degraded} beside {reference}": lines})


@main.command()
@_pipeline_options
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "dot", "svg"]), default="text", show_default=True
)
def show(pipeline: str, overrides: tuple[str, ...], swaps: dict[str, str], plugins: tuple[str, ...], form: str) -> None:
    """Show the graph of PIPELINE: streams, latency and who causes it, and which nodes hold the whole signal."""
    from dspgraph.diagram.build import FORMATS
    from dspgraph.pipeline.pipeline import Pipeline

    described = Pipeline(pipeline, overrides, swaps, plugins)
    drawn = FORMATS[form](described.graph)
    if form == "text":
        click.echo(f"{described.name}: {described.document.about}")
        for slot, choices in described.variants.items():
            click.echo(f"--swap {slot}= {' | '.join(choices)}")
        click.echo()
    click.echo(drawn)


@main.command()
@_pipeline_options
@click.argument("file", required=False, type=PATH)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How much of the file to use.",
)
@click.option("--variants", "every", is_flag=True, help="Check every variant too.")
def check(
    pipeline: str,
    file: Path | None,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    seconds: float,
    every: bool,
) -> None:
    """Check that no cut changes a sample of PIPELINE, whole and cut, copied midway and in a batch.

    FILE is audio or, as for `render`, .npz features; without one a short recording of speech is used. Names the first
    node and the first sample that differ.
    """
    from dspgraph.pipeline.pipeline import load, variants

    choices = [swaps | swap for swap in variants(pipeline)] if every else [swaps]
    for swap in choices:
        _check_one(load(pipeline, overrides, swap, plugins), file, seconds)
        name = ", ".join(f"{slot}={variant}" for slot, variant in swap.items())
        click.echo(f"{pipeline}{f' ({name})' if name else ''}: the cut changes nothing")


def _check_one(graph: Graph, file: Path | None, seconds: float) -> None:
    from dspgraph.io.arrays import SUFFIX, ArraySource
    from dspgraph.io.audio import AudioSource, example_speech
    from dspgraph.streams import to_fraction
    from dspgraph.testing.laws import check_graph, example_signals

    path = file or example_speech()
    if path.suffix.lower() == SUFFIX:
        check_graph(graph, next(ArraySource(path, graph.inputs).blocks(to_fraction(seconds))))
        return
    check_graph(graph, example_signals(graph, lambda stream: AudioSource(path, stream).read(), seconds))


@main.command()
@click.argument("file", type=PATH)
@click.option("--rainbowgram", "rainbow", is_flag=True, help="Hue: how the phase turns; brightness: log magnitude.")
@click.option("--spectrogram", "plain", is_flag=True, help="Magnitude alone, at the file's own rate.")
@click.option(
    "--distribution",
    "weights",
    metavar="WEIGHTS",
    help="The distribution that a trained model predicts for every sample, and its entropy.",
    type=PATH,
)
@click.option("-o", "--out", help="The picture; FILE's name with .png, here, by default.", type=PATH)
@click.option(
    "--swap", "swaps", multiple=True, metavar="SLOT=VARIANT", help="In `rainbowgram`; see `show rainbowgram`."
)
def plot(
    file: Path, rainbow: bool, plain: bool, weights: Path | None, out: Path | None, swaps: tuple[str, ...]
) -> None:
    """Draw the sound of FILE as a PNG.

    As a rainbowgram, by the pipeline of that name; as a spectrogram; or as the distribution that a trained model
    predicts for every sample, with the true levels and the entropy.
    """
    if rainbow + plain + (weights is not None) != 1:
        raise RequestError("plot draws one picture: give --rainbowgram or --spectrogram or --distribution WEIGHTS")
    if not rainbow and swaps:
        what = "a spectrogram" if plain else "the picture of a distribution"
        raise RequestError(f"--swap changes the pipeline of --rainbowgram; {what} has none: drop it")
    target = out or Path(f"{file.stem}.png")
    if target.suffix.lower() != ".png":
        raise RequestError(f"{target}: pictures are written as .png: name it {target.with_suffix('.png').name}")
    from dspgraph.plotting.figures import save

    if weights is not None:
        figure = _distribution(file, weights)
    else:
        figure = _rainbowgram(file, _pairs(swaps)) if rainbow else _spectrogram(file)
    click.echo(save(figure, target))


def _spectrogram(file: Path) -> Figure:
    from dspgraph.io.audio import rate_of
    from dspgraph.plotting.figures import spectrogram
    from dspgraph.streams import Audio

    rate = rate_of(file)
    return spectrogram(_heard(file, Audio(rate)), float(rate), file.name)


def _rainbowgram(file: Path, swaps: Mapping[str, str]) -> Figure:
    import numpy as np

    from dspgraph.pipeline.pipeline import load
    from dspgraph.plotting.figures import rainbowgram

    graph = load("rainbowgram", swap=swaps)
    ((name, stream),) = graph.inputs.items()
    rows = graph(**{name: _heard(file, stream)})
    (n, bins), drawn = rows["magnitude"].shape, graph.nodes["spectrum"].model_dump()
    if "bins_per_octave" in drawn:
        frequencies = drawn["f_min"] * 2 ** (np.arange(bins) / drawn["bins_per_octave"])
    else:
        frequencies = np.linspace(0, float(stream.rate) / 2, bins)
    seconds = float(n / graph.outputs["magnitude"].rate)
    return rainbowgram(rows["magnitude"], rows["advance"], frequencies, seconds, file.name)


def _distribution(file: Path, weights: Path) -> Figure:
    from dspgraph.plotting import figures
    from dspgraph.training.run import distribution

    probabilities, levels, rate = distribution(weights, file)
    return figures.distribution(probabilities, levels, rate, file.name)


def _heard(file: Path, stream: Stream) -> Array:
    """The samples of a file in which something is to be heard."""
    from dspgraph.io.audio import AudioSource
    from dspgraph.streams import Audio

    assert isinstance(stream, Audio)
    samples = AudioSource(file, stream).read()
    if not samples.any():
        raise FileError(f"{file} is silent, once mixed to one channel: there is nothing to draw")
    return samples


@main.command()
@click.argument("model")
@click.option("--data", help="Recordings of any rate: a folder or, as for render, a manifest.", type=PATH)
@click.option("-o", "--out", help="Folder for weights, checkpoints and logs.", type=PATH)
@click.option("-s", "--set", "given", multiple=True, metavar="SETTING=VALUE", help="See --settings.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in OUT, as if it had never stopped.")
@click.option("--settings", "listed", is_flag=True, help="List the settings of the model and their defaults.")
def train(
    model: str, data: Path | None, out: Path | None, given: tuple[str, ...], resume: bool, listed: bool
) -> None:  # fmt: skip
    """Train MODEL, for instance the one of the same name as a node, on recordings."""
    from dspgraph.training import run as training

    if listed:
        rows = [
            (name, f"default {default}" if default else "", text) for name, default, text in training.settings(model)
        ]
        print_tables({f"settings of {model}": rows})
        return
    if data is None or out is None:
        raise RequestError("train needs recordings and a folder for what it makes: give --data FOLDER and --out FOLDER")
    chosen: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise RequestError(f"'{one}' sets nothing: write SETTING=VALUE")
        chosen[name] = value
    click.echo(training.train(model, data, out, chosen, resume, sys.stderr.isatty(), click.echo))


@main.command()
@click.argument("name", required=False)
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
def nodes(name: str | None, plugins: tuple[str, ...]) -> None:
    """List the nodes, or explain the node NAME: what it does, its ports and its parameters."""
    from dspgraph import registry

    if name is not None:
        _explain(registry.find(name, plugins))
        return
    found = sorted(registry.nodes(plugins).values(), key=lambda one: (one.domain, one.name))
    domains = dict.fromkeys(one.domain for one in found)
    print_tables({domain: [(one.name, one.summary()) for one in found if one.domain == domain] for domain in domains})


def _explain(kind: type[Node]) -> None:
    import inspect

    from dspgraph.node import parameter_rule

    ports = [(port.name, f"in, {port}{', any number' if port.many else ''}") for port in kind.inputs]
    ports += [(port.name, f"out, {port}") for port in kind.outputs]
    rules = [(name, parameter_rule(kind, name), field.description or "") for name, field in kind.model_fields.items()]
    click.echo(f"{kind.type_name}\n\n{inspect.getdoc(kind) or ''}\n")
    print_tables({"ports": ports} | ({"parameters": rules} if rules else {}))


@main.command()
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
def schema(plugins: tuple[str, ...]) -> None:
    """Print the JSON Schema of pipeline files, with every node and parameter, for editors."""
    from dspgraph.pipeline.schema import schema as pipeline_schema

    click.echo(json.dumps(pipeline_schema(plugins), indent=2))
