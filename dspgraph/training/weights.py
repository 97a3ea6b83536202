"""Files of weights, of any model."""

from __future__ import annotations

import json
from pathlib import Path

from dspgraph.errors import FileError


def model_of(weights: Path) -> str:
    """Return the name of the model to which a file of weights belongs, from the metadata of the file.

    Raises FileError if the file cannot be read, or if its metadata name no model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as file:
            return str(json.loads((file.metadata() or {})["config"])["model"])
    except FileNotFoundError:
        raise FileError(f"{weights} does not exist") from None
    except OSError as error:
        raise FileError(f"{weights} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"{weights} holds no weights of a model ({type(error).__name__}: {error}): give a file written by "
            "'dspgraph train'"
        ) from None
