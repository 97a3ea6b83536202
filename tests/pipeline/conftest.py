"""A pipeline that the tests of several files use."""

from pathlib import Path

import pytest

from helpers.pipelines import BASE


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path
