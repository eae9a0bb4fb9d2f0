"""The examples run, and print what they promise."""

import os
import re
from pathlib import Path

import pytest
from processes import output_of

EXAMPLES = Path(__file__).parent.parent / "examples"
MNIST = Path(os.environ.get("CYCNN_DATA") or "nowhere") / "mnist"


def run(script, folder, *options):
    """Return what an example prints."""
    path = EXAMPLES / script
    if not path.exists():
        pytest.skip("the examples are not beside the tests")
    argv = [str(path), *options]
    code = f"import runpy, sys; sys.argv = {argv!r}; runpy.run_path({str(path)!r}, run_name='__main__')"
    return output_of(code, folder, timeout=120)


@pytest.mark.skipif(not MNIST.is_dir(), reason="CYCNN_DATA names no folder that holds mnist/")
def test_perceptron_and_cnn_are_compared_in_a_table(tmp_path):
    data = str(MNIST.resolve())
    out = run("mlp_against_cnn.py", tmp_path, "--data", data, "--images", "2000", "--epochs", "1")
    table = out[re.search("^ +perceptron +CNN$", out, re.MULTILINE).end() :]
    rows = re.findall(r"^(\w[\w -]*?) +([\d.,]+) +([\d.,]+)$", table, re.MULTILINE)
    values = {name: (float(mlp.replace(",", "")), float(cnn.replace(",", ""))) for name, mlp, cnn in rows}
    assert list(values) == ["parameters", "multiply-adds", "centred digits", "moved digits"]
    assert values["parameters"] == (1600 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10, 160 + 4640 + 18496 + 650)
    assert values["multiply-adds"][0] < values["multiply-adds"][1]
    assert all(accuracy > 0.2 for accuracy in values["centred digits"])  # 31 batches teach little; chance is 0.1
    # Each row is followed by its explanation, indented.
    assert len(re.findall(r"^    \S", table, re.MULTILINE)) >= len(rows)


def test_options_are_explained(tmp_path):
    text = run("mlp_against_cnn.py", tmp_path, "--help")
    for option in ("--data", "--images", "--epochs"):
        assert option in text
