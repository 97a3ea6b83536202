"""Checkpoints of TensorFlow, written byte by byte: what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph.errors import FileError
from dspgraph.training.foreign_checkpoints import read_checkpoint
from helpers.tensorflow_files import block, checkpoint, number, part, varint

ARRAYS: dict[str, Array] = {
    "layer/bias": np.arange(3, dtype=np.float32),
    "layer/bias/ExponentialMovingAverage": np.arange(3, dtype=np.float32) + 7,
    "layer/kernel": np.arange(12, dtype=np.float64).reshape(2, 3, 2),
    "step": np.array(300, np.int64),
}


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_any_of_its_paths_gives_the_arrays(ending: str, tmp_path: Path) -> None:
    found = read_checkpoint(Path(f"{checkpoint(tmp_path, ARRAYS)}{ending}"))
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_data_file_that_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, ARRAYS)
    data = Path(f"{path}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(FileError, match=r"data-00000-of-00001 ends before or within step: copy or download it again"):
        read_checkpoint(path)
    data.unlink()
    with pytest.raises(FileError, match=r"there is no file model.ckpt-3.data-00000-of-\.\.\.: copy the data files"):
        read_checkpoint(path)


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    """Every byte is changed, and the file is cut at every place: the file is refused, or in some cases still read.

    More than half of the files are refused, with a FileError of one line.
    """
    path = Path(f"{checkpoint(tmp_path, ARRAYS)}.index")
    whole = path.read_bytes()
    messages = []
    for k in range(len(whole)):
        for damaged in (whole[:k], whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :]):
            path.write_bytes(damaged)
            try:
                read_checkpoint(path)
            except FileError as error:
                messages.append(str(error))
    assert len(messages) > len(whole)
    assert not any("\n" in message for message in messages)


def index_file(folder: Path, blocks: list[bytes], places: list[int]) -> Path:
    """Write an index and a data file of 100 zeros; return the path of the checkpoint, "a", without the suffixes.

    blocks: the blocks of the index, each with the 5 bytes of its type and check sum; places: the numbers of the blocks
    that the index lists, in this order.
    """
    begins = [sum(map(len, blocks[:k])) for k in range(len(blocks))]
    listed = block([(b"%08d" % n, varint(begins[k]) + varint(len(blocks[k]) - 5)) for n, k in enumerate(places)])
    content = b"".join(blocks)
    footer = varint(0) + varint(0) + varint(len(content)) + varint(len(listed) - 5)
    content += listed + footer.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")
    (folder / "a.index").write_bytes(content)
    (folder / "a.data-00000-of-00001").write_bytes(bytes(100))
    return folder / "a"


def test_a_small_index_that_would_fill_the_memory_or_never_end_is_refused(tmp_path: Path) -> None:
    """An index is refused if entries of a few bytes share a long name, or if one block is listed again and again.

    A block whose list of places is longer than the block is refused too.
    """
    name, entry = b"x" * 2**15, number(1, 7)
    long = varint(0) + varint(len(name)) + varint(len(entry)) + name + entry
    long += (varint(len(name)) + varint(1) + varint(len(entry)) + b"y" + entry) * 1000
    long += bytes(4) + (1).to_bytes(4, "little") + b"\0" + b"sums"
    with pytest.raises(FileError, match="its names have more than 16777216 bytes"):
        read_checkpoint(index_file(tmp_path, [long], [0]))
    one = block([(b"x%d" % k, entry) for k in range(100)])
    with pytest.raises(FileError, match="its blocks overlap"):
        read_checkpoint(index_file(tmp_path, [one], [0] * 100))
    places = one[:-9] + (2**20).to_bytes(4, "little") + one[-5:]
    with pytest.raises(FileError, match="a block is shorter than its list of places"):
        read_checkpoint(index_file(tmp_path, [places], [0]))


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 2**62), (0, 2**61, 4)])
def test_a_shape_that_no_array_has_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    sizes = b"".join(part(2, number(1, size)) for size in shape)
    entry = number(1, 1) + part(2, sizes) + number(5, 4 * int(0 not in shape))
    with pytest.raises(FileError, match="is damaged: x has . bytes for the shape"):
        read_checkpoint(index_file(tmp_path, [block([(b"x", entry)])], [0]))
