"""The option `--at-most N`: of every test that is run for a table of cases, N cases spread over the table."""

from collections import defaultdict


def pytest_addoption(parser):
    parser.addoption("--at-most", type=int, metavar="N", help="run at most N cases of every test")


def pytest_collection_modifyitems(config, items):
    most = config.getoption("--at-most")
    if most is None:
        return
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.split("[")[0]].append(item)
    kept = set()
    for table in cases.values():
        step = max(1, len(table) / most)
        kept.update(table[int(i * step)] for i in range(min(most, len(table))))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]
