"""What `import cycnn` gives and costs, and what this installation says of itself."""

import pytest
from processes import output_of

import cycnn


def test_every_public_name_is_there():
    for name in cycnn.__all__:
        assert getattr(cycnn, name) is not None
    assert dir(cycnn) == sorted(cycnn.__all__)
    with pytest.raises(AttributeError, match="module 'cycnn' has no attribute 'nonsense'"):
        cycnn.nonsense  # noqa: B018


def test_import_loads_nothing_but_numpy_and_the_core(tmp_path):
    code = "import numpy, sys; before = set(sys.modules); import cycnn; print(*set(sys.modules) - before)"
    loaded = output_of(code, tmp_path).split()
    for heavy in ("tqdm", "safetensors", "json", "inspect", "typing", "cycnn.layers", "cycnn.program"):
        assert heavy not in loaded
    assert {name for name in loaded if name.startswith("cycnn")} == {
        "cycnn", "cycnn._native", "cycnn._native.cpu", "cycnn._native.threads", "cycnn._native.runtime",
        "cycnn._native.levels", "cycnn._native.limits",
    }  # fmt: skip


def test_the_number_of_threads_can_be_set():
    before = cycnn.get_num_threads()
    try:
        cycnn.set_num_threads(3)
        assert cycnn.get_num_threads() == 3
    finally:
        cycnn.set_num_threads(before)


def test_show_config_prints_what_is_in_use(capsys):
    cycnn.show_config()
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["cycnn"].strip() == cycnn.__version__
    assert rows["threads"].split()[0] == str(cycnn.get_num_threads())
    chosen = rows["chosen"].split()[0]
    assert chosen in rows["supported by this CPU"] and chosen in rows["instruction sets built"]
