"""The table of what there is of Keras: that it is what its script writes, and that the script tells yes from no."""

import importlib.util
import re
from pathlib import Path

import pytest

import cycnn

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def script():
    """Return the script as a module; the tests may run where it is not."""
    path = DOCS / "keras_support.py"
    if not path.exists():
        pytest.skip("docs/ is not beside the tests")
    spec = importlib.util.spec_from_file_location("keras_support", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_is_what_the_script_writes(script):
    """If this fails, run `python docs/keras_support.py` and commit docs/keras.md."""
    assert script.PAGE.read_text(encoding="utf-8") == script.page()


def test_every_name_has_one_row_with_a_reason_if_it_is_left_out(script):
    rows = re.findall(r"^\| `(\w+)` \| (yes|-) \|(.*)\|$", script.page(), re.MULTILINE)
    assert [name for name, _, _ in rows] == " ".join(script.KERAS.values()).split()
    assert [name for name, how, why in rows if how == "-" and not why.strip()] == []


def test_present_and_absent_names_are_told_apart(script):
    assert script.has("layers", "Conv2D") == "yes"
    assert script.has("losses", "mean_squared_error")
    assert script.has("layers", "LSTM") == ""
    assert script.has("no_such_module", "Conv2D") == ""


def test_limits_and_reasons_concern_names_of_keras(script):
    names = {f"{group}.{name}" for group, names in script.KERAS.items() for name in names.split()}
    assert set(script.LIMITS) <= names
    for group, reasons in script.LEFT_OUT.items():
        for beginning in " ".join(beginnings for _, beginnings in reasons).split():
            assert any(name.startswith(f"{group}.{beginning}") for name in names), beginning


def test_public_layers_are_rows_or_named_beyond_keras(script):
    public = {name for name in cycnn.layers.__all__ if isinstance(getattr(cycnn.layers, name), type)}
    assert public <= set(script.KERAS["layers"].split()) | set(script.own("layers")) | {"Variable"}
