"""Every input that fuzzing has kept: the reader returns, or says in one ValueError what is wrong."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
harness = pytest.importorskip("harness")
INPUTS = [(name, file) for name in harness.TARGETS for file in sorted((harness.CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "file"), INPUTS, ids=lambda value: getattr(value, "name", value))
def test_is_read_or_refused(name, file):
    harness.TARGETS[name](file.read_bytes())


def test_there_are_inputs_of_every_kind():
    assert {name for name, _ in INPUTS} == set(harness.TARGETS)
