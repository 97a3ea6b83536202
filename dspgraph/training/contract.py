"""What the package of a model must contain, so that the model can be trained and its predictions can be plotted.

The package of the model NAME is the folder `dspgraph_nodes/models/NAME/`, or a package that another distribution
announces as the entry point NAME of the group `dspgraph.models`. Its module `training` has what `Training` declares.
Its module `distribution` has what `Prediction` declares; a model that predicts no distribution lacks this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from pydantic import BaseModel

from dspgraph.errors import RequestError, UnknownName, suggest
from dspgraph.registry import models
from dspgraph.streams import Array

Features = Callable[[Array], Mapping[str, Array]]
"""A function from the samples [n] of a recording to the outputs of the pipeline of a model: name -> array."""

Labels = Mapping[str, Mapping[str, str]]
"""What the manifest says about recordings: name of the recording -> name of the column -> text."""

EXTRA = {"tensorboard"}
"""The packages that only `pip install dspgraph[train]` installs."""


class Training(Protocol):
    """The module `training` of a model."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    Settings: type[BaseModel]
    """The class of the settings of a training run. Every field has a description.

    Its instances may have a property `overrides`: values of the variables of the pipeline, such as "rate=4000".
    """

    def train(
        self,
        recordings: Mapping[str, Array],
        features: Features,
        out: Path,
        settings: Any,
        resume: bool,
        progress: bool,
        report: Callable[[str], None],
        init: Path | None,
    ) -> Path:
        """Train on recordings, and return the path of the file with the weights.

        recordings: name -> samples [n] at the rate of the pipeline; features: computes the features of a recording from
        its samples; out: folder for weights, checkpoints and logs; settings: an instance of `Settings`; resume: go on
        from the checkpoint in `out`; progress: show a progress bar; report: called with each line for the user; init: a
        file of weights to begin with. Raises RequestError if the recordings cannot be used, if the run cannot be
        resumed, or if the weights do not fit.
        """


class LabelledTraining(Protocol):
    """The module `training` of a model that learns from more than the samples: as `Training`, with these members."""

    LABELS: tuple[str, ...]
    """The names of the further columns of a manifest that the training reads, such as "pitch"."""

    def train(
        self,
        recordings: Mapping[str, Array],
        features: Features,
        out: Path,
        settings: Any,
        resume: bool,
        progress: bool,
        report: Callable[[str], None],
        init: Path | None,
        labels: Labels,
    ) -> Path:
        """Train as `Training.train` does.

        labels: for each recording, what the manifest says in the columns of `LABELS`; a column that it lacks is
        missing. Raises RequestError, too, if a recording lacks a label that the training needs.
        """


class Prediction(Protocol):
    """The module `distribution` of a model."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    def distribution(self, weights: Path, samples: Array, features: Features) -> tuple[Array, Array, float]:
        """Return the predicted distributions [n, size], the true levels [n], and the sample rate in Hz.

        A row of the distributions has the probabilities of all levels for one sample. weights: a file of trained
        weights; samples: [n], a recording; features: computes its features. Raises ValueError if the weights are those
        of another model.
        """


class WeightsConversion(Protocol):
    """The module `convert` of a model. A model without published weights lacks this module."""

    def recognises(self, names: set[str]) -> bool:
        """Return whether arrays with these names are a published network of this model, in any known layout."""

    def convert(
        self, found: Mapping[str, Array], given: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Array], Sequence[str]]:
        """Return the configuration and the arrays of a file of weights, and what neither argument tells, in words.

        found: the arrays of a checkpoint, by name; given: values that it does not tell, by name. Raises ValueError if
        the arrays are no such network, or if they contradict a given value.
        """


class WeightsWriter(Protocol):
    """The object `WEIGHTS` in the module `weights` of a model."""

    def write(self, path: Path, config: Any, arrays: Mapping[str, Array]) -> None:
        """Write a configuration and its arrays, by name, to a file. Raises ValueError if they do not fit."""


class WeightsModule(Protocol):
    """The module `weights` of a model."""

    WEIGHTS: WeightsWriter
    """The layout of its files of weights."""


def training(model: str) -> Training:
    """Return the module `training` of a model.

    Raises UnknownName if there is no such model, and RequestError if the module, one of its members, or a package of
    `dspgraph[train]` is missing.
    """
    return cast(Training, _module(model, "training", Training))


def prediction(model: str) -> Prediction:
    """Return the module `distribution` of a model. Raises the same errors as `training`."""
    return cast(Prediction, _module(model, "distribution", Prediction))


def conversion(model: str) -> WeightsConversion:
    """Return the module `convert` of a model. Raises the same errors as `training`."""
    return cast(WeightsConversion, _module(model, "convert", WeightsConversion))


def weights_format(model: str) -> WeightsWriter:
    """Return the layout of the files of weights of a model. Raises the same errors as `training`."""
    return cast(WeightsModule, _module(model, "weights", WeightsModule)).WEIGHTS


def _module(model: str, name: str, contract: type) -> ModuleType:
    known = models()
    if model not in known:
        raise UnknownName(f"no model is called '{model}'; {suggest(model, known)}")
    path = f"{known[model]}.{name}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        missing_module = error.name or ""
        if f"{path}.".startswith(f"{missing_module}."):
            raise RequestError(f"the model '{model}' has no module {path}") from None
        if missing_module.partition(".")[0] not in EXTRA:
            raise
        raise RequestError(f"training needs {missing_module}: pip install 'dspgraph[train]'") from None
    members = [*contract.__annotations__, *(member for member in vars(contract) if not member.startswith("_"))]
    if missing := [member for member in members if not hasattr(module, member)]:
        raise RequestError(
            f"{path} lacks {', '.join(missing)}; the module '{name}' of a model has {', '.join(members)}: see "
            f"{contract.__module__}.{contract.__name__}"
        )
    return module
