"""Files of weights for nodes. Nodes share a cache of the four packed networks that were used last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from dspgraph import Array, Frames, ParameterError
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

Packed = TypeVar("Packed")

Key = tuple[str, int, int]
"""Path, size in bytes, and time of the last change of a file in nanoseconds."""


class WeightsFile(Generic[Config, Packed]):
    """The file of weights that a parameter of a node names.

    `config` and `packed` read the file when they are first used, and keep the result: later changes of the file do not
    change the samples of a signal. The file must still be the one that was there when this object was made.

    weights: the layout of the file; pack: a function from the configuration and the arrays to the form that kernels
    use; place: the parameter, such as "lpcnet.weights"; path: its value. Raises ParameterError if no file is given or
    if there is no such file.
    """

    def __init__(
        self,
        weights: WeightsFormat[Config],
        pack: Callable[[Config, Mapping[str, Array]], Packed],
        place: str,
        path: str | None,
    ) -> None:
        self._weights, self._pack, self._place, self._path = weights, pack, place, path
        self._first = self._key()

    def _key(self) -> Key:
        if self._path is None:
            raise ParameterError(
                f"{self._place} is not given, and the node ships without weights: train a network (dspgraph train "
                f"{self._weights.model}) and give the path of its weights"
            )
        try:
            return _key_of(self._path)
        except (OSError, ValueError):
            raise ParameterError(
                f"{self._place} is {self._path}; there is no such file: give the path of trained weights"
            ) from None

    @cached_property
    def config(self) -> Config:
        """The configuration of the network. Raises ParameterError as `packed` does."""
        try:
            return cast(Config, _config(self._weights, self._first))
        except (OSError, ValueError) as error:  # OSError: the file was removed while it was read
            raise ParameterError(f"{self._place}: {error}") from None

    @cached_property
    def packed(self) -> Packed:
        """The packed network. Raises ParameterError if the file holds no weights of the model, or has changed."""
        try:
            return cast(Packed, _packed(self._weights, self._pack, self._first))
        except (OSError, ValueError) as error:  # OSError: the file was removed while it was read
            raise ParameterError(f"{self._place}: {error}") from None

    def begin_signal(self) -> None:
        """Read the network, if it has not been read; a node calls this when a signal begins.

        Raises ParameterError as `packed` does, also if the file has changed since this object was made, or no longer
        exists. Its size and the time of its last change are compared.
        """
        if self._key() != self._first:
            raise ParameterError(f"{self._place}: {_changed(self._first)}")
        self.packed  # noqa: B018  # reads it

    def check_frames(self, frames: Frames, width: int, name: str = "features") -> None:
        """Raise ParameterError unless a stream of frames has the rate and the width that the network was trained with.

        The rate in training is that of the fields `rate` / `hop` of the configuration. width: the width in training; 0:
        any width is right. name: a word for the frames in the message, such as "codes".
        """
        config: Any = self.config
        if frames.rate * config.hop != config.rate:
            raise ParameterError(
                f"{self._place} were trained with {config.rate / config.hop:g} frames a second, a hop of {config.hop} "
                f"at {config.rate} Hz; found {frames}: compute the features at that rate, with that hop"
            )
        if width not in (0, frames.width):
            raise ParameterError(
                f"{self._place} were trained with {name} of {width} numbers; found {frames}: set the bands of the "
                f"{name}"
            )


@cache
def packer(pack: Callable[..., Packed], precision: str) -> Callable[..., Packed]:
    """Return the function that packs a network for a precision: `pack`, or for int8 `pack` with eight_bits=True.

    precision: "float32" or "int8". It is always the same function for the same arguments, because packed networks are
    cached by it.
    """
    return partial(pack, eight_bits=True) if precision == "int8" else pack


@lru_cache(maxsize=64)
def _config(weights: WeightsFormat[Config], key: Key) -> Config:
    return _read(weights, key)[0]


@lru_cache(maxsize=4)
def _packed(weights: WeightsFormat[Config], pack: Callable[..., Any], key: Key) -> Any:
    return pack(*_read(weights, key))


def _read(weights: WeightsFormat[Config], key: Key) -> tuple[Config, dict[str, Array]]:
    """Return the configuration and the arrays in the file that `key` stands for.

    Raises ValueError as `weights.read` does, and if the file is not, or no longer, the one of `key`.
    """
    found = weights.read(key[0])
    if _key_of(key[0]) != key:
        raise ValueError(_changed(key))
    return found


def _key_of(path: str) -> Key:
    stat = Path(path).stat()
    return str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns


def _changed(key: Key) -> str:
    return f"{key[0]} has changed since the node was made: make a new node, or load the pipeline again"
