"""What a model offers, so that it can be trained and its predictions can be plotted.

A model NAME is a package: the folder `dspgraph_nodes/models/NAME/`, or a package that another distribution announces as
an entry point of the group `dspgraph.models`. Its module `training` fulfils `Training`. Its module `distribution`
fulfils `Prediction`; a model that predicts no categorical distribution has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from pydantic import BaseModel

from dspgraph.errors import RequestError, UnknownName, suggest
from dspgraph.registry import models
from dspgraph.streams import Array

Features = Callable[[Array], Mapping[str, Array]]
"""Returns the outputs of a model's pipeline for the samples of a recording."""

EXTRA = {"lightning", "tensorboard"}
"""Packages that only the extra dspgraph[train] installs."""


class Training(Protocol):
    """The module `training` of a model."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    Settings: type[BaseModel]
    """The settings of a run; every field has a description."""

    def train(
        self,
        recordings: Mapping[str, Array],
        features: Features,
        out: Path,
        settings: Any,
        resume: bool,
        progress: bool,
        report: Callable[[str], None],
    ) -> Path:
        """Train on recordings, by name, and return the file of the weights.

        out: folder for weights, checkpoints and logs; settings: an instance of `Settings`; resume: continue from the
        checkpoint in `out`; progress: show a progress bar; report: called with lines for the user. Raises RequestError
        for recordings that cannot be trained on and for a run that cannot be resumed.
        """


class Prediction(Protocol):
    """The module `distribution` of a model."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    def distribution(self, weights: Path, samples: Array, features: Features) -> tuple[Array, Array, float]:
        """Return the categorical distribution [n, size] of every sample, the true levels [n], and the rate in Hz.

        Raises ValueError for weights of another model.
        """


def training(model: str) -> Training:
    """Return the module `training` of a model.

    Raises UnknownName if there is no such model, and RequestError if the module or part of it is missing.
    """
    return cast(Training, _module(model, "training", Training))


def prediction(model: str) -> Prediction:
    """Return the module `distribution` of a model; raises as `training` does."""
    return cast(Prediction, _module(model, "distribution", Prediction))


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
