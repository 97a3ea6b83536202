"""Files of random weights, which all test processes of a user share."""

import hashlib
import os
import tempfile
from pathlib import Path


def shared_file(content: bytes, folder: str | Path | None = None) -> str:
    """Return the path of a file with this content, and write the file if it does not exist.

    Its name is a hash of the content, with the suffix .safetensors. folder: by default a temporary folder that all test
    processes of a user share.
    """
    home = Path(folder or Path(tempfile.gettempdir()) / f"dspgraph-networks-{os.getuid()}")
    path = home / f"{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    if not path.is_file():
        home.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)
    return str(path)
