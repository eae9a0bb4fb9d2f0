"""What the fuzz targets share: a file for the bytes, and the only way in which a reader may refuse them.

A target is a function of bytes. It passes when the reader returns, or raises one ValueError; anything else that is
raised, a crash, or memory beyond a limit is a finding. Inputs found interesting stay in `corpus`, and `test_fuzz.py`
runs them all without atheris.
"""

import atexit
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
_MEMORY = "/dev/shm"  # where there is this folder: a disk would be waited for at every input
_FOLDER = tempfile.mkdtemp(prefix="cycnn-fuzz-", dir=_MEMORY if os.path.isdir(_MEMORY) else None)
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
_FILE = Path(_FOLDER) / "input"


def file_with(data, suffix=""):
    """Return the path of a file that holds these bytes."""
    path = _FILE.with_suffix(suffix)
    path.write_bytes(data)
    return path


def refused(reader, *args):
    """Return what the reader returns, or None where it says in a ValueError of its own what is wrong."""
    try:
        return reader(*args)
    except ValueError as error:
        assert "Received" in str(error), f"no message of ours: {error!r}"
        return None


def read_idx(data):
    """Read an IDX file, compressed or not."""
    from cycnn.datasets import idx

    array = refused(idx.read_idx, file_with(data))
    assert array is None or array.nbytes <= 1032 * len(data)  # what gzip can expand to


def read_cifar(data):
    """Read an archive, or the records of one binary file."""
    from cycnn.datasets import archive, cifar

    for _name, content in refused(_all_members, archive, data) or ():
        assert len(content) <= 1 << 20
    refused(cifar._records, "folder", "data_batch_1.bin", data)


def _all_members(archive, data):
    return list(archive.read_archive("fuzz", str(file_with(data)), lambda name: 1 << 20, 1 << 24))


def load_saved_model(data):
    """Load a model from a file of these bytes."""
    from cycnn.saving import load_model

    refused(load_model, file_with(data))


def load_configuration(data):
    """Load a model from a whole file whose description is this JSON: what no checksum guards."""
    from cycnn import files
    from cycnn.saving import load_model

    try:
        description = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(description, dict):
        return
    path = file_with(b"", ".safetensors")
    files.write(path, {}, description)
    refused(load_model, path)


TARGETS = {
    "idx": read_idx,
    "cifar": read_cifar,
    "saved_model": load_saved_model,
    "configuration": load_configuration,
}


def fuzz(name):
    """Fuzz one target with libFuzzer's arguments from the command line."""
    import sys

    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["cycnn", "json", "gzip", "tarfile"]):
        import cycnn.datasets.archive
        import cycnn.datasets.cifar
        import cycnn.datasets.idx
        import cycnn.saving  # noqa: F401
    os.environ.setdefault("CYCNN_NUM_THREADS", "1")
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
