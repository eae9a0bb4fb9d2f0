"""What the documents say: the README's example, the files that it names, and the examples in docstrings."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import cycnn

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/keras.md", "docs/performance.md"]
# Compiled modules have no doctests, and asking for the attributes of every submodule imports it.
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(cycnn.__path__, "cycnn.") if not module.name.startswith("cycnn._")
)
WITH_EXAMPLES = [
    "cycnn.initializers",
    "cycnn.layers.convolutional",
    "cycnn.models.model",
    "cycnn.models.sequential",
    "cycnn.ops.pooling",
]


def text_of(name):
    """Return a document of the checkout; the tests may run where there is none."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the tests")
    return path.read_text(encoding="utf-8")


def example():
    """Return the README's Python: how to train a network, and how to save it."""
    training, saving = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    return training, saving


def test_example_has_at_most_fifteen_lines():
    assert 0 < sum(bool(line.strip()) for line in example()[0].splitlines()) <= 15


def test_example_learns_and_is_saved(capsys, tmp_path, monkeypatch):
    cycnn.utils.set_random_seed(0)
    names = {}
    training, saving = example()
    exec(compile(training, "README.md", "exec"), names)
    assert names["accuracy"] > 0.9
    assert names["loss"] < 0.5
    monkeypatch.chdir(tmp_path)
    trained = names["model"]
    exec(compile(saving, "README.md", "exec"), names)
    assert names["model"] is not trained
    assert (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
    text, folder = text_of(name), (ROOT / name).parent
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_and_modules_in_code_exist(name):
    text = text_of(name)
    paths = set(re.findall(r"(?:^|[\s`(])((?:cycnn|tests|examples|docs|benchmarks|\.ci)/[\w/.]*\w)", text))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    modules = {module.replace(".", "/") for module in re.findall(r"python -m (benchmarks\.\w+)", text)}
    assert [module for module in sorted(modules) if not (ROOT / f"{module}.py").exists()] == []


def test_architecture_names_files_of_the_package():
    named = set(re.findall(r"`(\w[\w/]*(?:\.(?:py|pyx|pxd|c|h)|/))`", text_of("docs/architecture.md"))) - {"setup.py"}
    assert named
    places = [ROOT / "cycnn" / folder for folder in ("", "_native", "batches", "program")]
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_names_of_the_package_exist(name):
    for words in set(re.findall(r"`cycnn((?:\.\w+)+)(?:\(\))?`", text_of(name))):
        value = cycnn
        for word in words[1:].split("."):
            value = getattr(value, word)


@pytest.mark.parametrize("name", ["cycnn", *MODULES])
def test_doctests_pass(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, report=True)
    assert results.failed == 0
    assert results.attempted > 0 or name not in WITH_EXAMPLES


def test_every_public_operation_has_an_example():
    without = [name for name in cycnn.ops.__all__ if ">>>" not in (getattr(cycnn.ops, name).__doc__ or "")]
    assert without == []


def test_every_layer_has_an_example():
    kinds = [value for name in cycnn.layers.__all__ if isinstance(value := getattr(cycnn.layers, name), type)]
    without = [kind.__name__ for kind in kinds if ">>>" not in (kind.__doc__ or "")]
    assert set(without) <= {"InputLayer", "Layer", "Variable"}
