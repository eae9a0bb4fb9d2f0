"""Build the compiled extensions of cycnn; everything else is in pyproject.toml.

One `.pyx` serves all instruction sets: the sources of `cycnn/_native` are staged once per instruction set inside the
build folder and each stage is compiled with its own flags, as `cycnn._native.<instruction set>.<family>`.

CYCNN_DEBUG=1 turns bounds checks and assertions on; CYCNN_LIMITED_API=0 builds against the full Python API;
CYCNN_PORTABLE=1 builds without vector extensions, as for a compiler that has none; CYCNN_LEVELS=v3,v2 builds only
these instruction sets; CYCNN_SANITIZE=address,undefined builds with these sanitizers, slowly and with symbols;
CYCNN_TRACE=1 lets coverage see the lines of Cython.

On Windows clang-cl compiles where it is found; Visual Studio's own compiler has no vector extensions.
"""

import os
import platform
import runpy
import shutil
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("cycnn/_native")
STAGES = Path("build/isa")

# Compiled once, without -m flags: extension and its extra C sources.
SHARED = {"cpu": [], "threads": ["pool.c"], "runtime": []}
# Compiled once per instruction set.
FAMILIES = [file.stem for file in sorted(NATIVE.glob("*.pyx")) if file.stem not in SHARED]

# Which of them are compiled for fewer instruction sets.
LEVELS = runpy.run_path(str(NATIVE / "levels.py"))

# Processors that stop at v2 are from before 2013, and what waits for memory gains nothing: what unrolling and peeling
# give these, but for register tiles and the peak that they are compared with, is not worth a quarter of a megabyte.
SMALLER = ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]
X86_LEVELS = {
    "v2": ["-mssse3", "-msse4.2", "-mpopcnt"],
    "v3": ["-mavx2", "-mfma", "-mpopcnt"],
    "v4": [
        "-mavx512f",
        "-mavx512bw",
        "-mavx512cd",
        "-mavx512dq",
        "-mavx512vl",
        "-mfma",
        "-mpopcnt",
        "-mprefer-vector-width=512",
    ],
}
# Nothing throws through this code, so it needs no tables to unwind it: 4 % of the wheel.
# The last two let the compiler turn loops with sqrt and conditions into vectors; they change no values, only errno and
# the floating-point exception flags, which nobody reads.
COMPILE = [
    "-O3",
    "-g0",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-math-errno",
    "-fno-trapping-math",
]
DEBUG = os.environ.get("CYCNN_DEBUG") == "1"
LIMITED_API = os.environ.get("CYCNN_LIMITED_API", "1") != "0" and not sysconfig.get_config_var("Py_GIL_DISABLED")
SANITIZE = os.environ.get("CYCNN_SANITIZE", "")
TRACE = os.environ.get("CYCNN_TRACE") == "1"
VISUAL_STUDIO = sysconfig.get_platform().startswith("win")
CLANG_CL = shutil.which("clang-cl") if VISUAL_STUDIO else None
PORTABLE = os.environ.get("CYCNN_PORTABLE") == "1" or (VISUAL_STUDIO and not CLANG_CL)


def instruction_sets():
    """Return the flags of each instruction set that is built on this machine."""
    machine = platform.machine().lower()
    if PORTABLE:
        return {"portable": []}
    if machine in ("x86_64", "amd64"):
        asked = os.environ.get("CYCNN_LEVELS", ",".join(X86_LEVELS)).split(",")
        return {level: X86_LEVELS[level] for level in asked}
    return {"neon" if machine in ("aarch64", "arm64") else "portable": []}


def write_if_changed(target, content):
    """Keep the time stamp of what has not changed, so that only changes are compiled again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != content:
        target.write_bytes(content)


def stage(isa):
    """Copy the sources of the kernels to the build folder as the package `cycnn._native.<isa>`; return its folder."""
    root = STAGES / isa
    for package in ("cycnn", "cycnn/_native", f"cycnn/_native/{isa}"):
        write_if_changed(root / package / "__init__.py", b"")
    for name in SHARED:
        for source in NATIVE.glob(f"{name}.pxd"):
            write_if_changed(root / NATIVE / source.name, source.read_bytes())
    for source in sorted([*NATIVE.glob("*.pyx"), *NATIVE.glob("*.pxd"), *NATIVE.glob("*.h")]):
        if source.stem not in SHARED:
            write_if_changed(root / NATIVE / isa / source.name, source.read_bytes())
    return root


def compile_arguments(flags):
    """Return the flags of one extension in the words of the compiler that will run."""
    if SANITIZE:
        checks = [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
        # Python's own flags let signed numbers wrap, and then an overflow is no error.
        return [*COMPILE, *flags, "-O1", "-g", "-fno-wrapv", *checks]
    if TRACE:
        return [*COMPILE, *flags, "-O1"]
    if CLANG_CL:
        return [f"/clang:{flag}" for flag in [*COMPILE, *flags]]
    if VISUAL_STUDIO:
        return ["/O2", "/std:c11", "/experimental:c11atomics"]
    return [*COMPILE, *flags]


def link_arguments():
    """Return what the linker is told."""
    if SANITIZE:
        return [f"-fsanitize={SANITIZE}"]
    # Without -z noseparate-code every module is padded to pages of its own for code and constants.
    return ["-s", "-Wl,-z,noseparate-code"] if platform.system() == "Linux" else []


def extension(name, sources, flags=()):
    """Describe one extension module."""
    # Tile sizes become constants only where functions are inlined; with the calls that trace lines in them they would
    # become so large that a compiler takes gigabytes.
    inline = "__forceinline" if VISUAL_STUDIO else "inline __attribute__((always_inline))"
    macros = [("CYTHON_INLINE", "inline" if TRACE else inline)]
    if not DEBUG:
        macros.append(("CYTHON_WITHOUT_ASSERTIONS", None))
    if LIMITED_API:
        macros.append(("Py_LIMITED_API", "0x030B0000"))
    if PORTABLE:
        macros.append(("CYCNN_PORTABLE", "1"))
    if TRACE:
        macros += [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
    return Extension(
        name,
        [str(source) for source in sources],
        include_dirs=[str(NATIVE)],
        define_macros=macros,
        extra_compile_args=compile_arguments(flags),
        extra_link_args=link_arguments(),
        libraries=["m"] if os.name == "posix" else [],
        py_limited_api=LIMITED_API,
    )


def extensions():
    """Return all extension modules, cythonized."""
    directives = {
        "language_level": 3,
        "boundscheck": DEBUG,
        "wraparound": False,
        "initializedcheck": DEBUG,
        "cdivision": True,
        "auto_pickle": False,  # a copy of an address is no copy
        "linetrace": TRACE,
    }
    Options.docstrings = False  # they are read in the sources; in all modules they would take a tenth of a megabyte
    options = {
        "compiler_directives": directives,
        "build_dir": None if TRACE else "build/cython",  # coverage looks for C beside its source
        "nthreads": os.cpu_count(),
        "force": DEBUG,
    }
    shared = [
        extension(f"cycnn._native.{name}", [NATIVE / f"{name}.pyx", *(NATIVE / source for source in more)])
        for name, more in SHARED.items()
    ]
    built = cythonize(shared, **options)
    sets = instruction_sets()
    lowest = max(sets, key=LEVELS["LEVELS"].index)
    for isa, flags in sets.items():
        root = stage(isa)
        kernels = []
        for family in FAMILIES:
            if LEVELS["level_of"](family, isa, lowest) == isa:
                source = root / NATIVE / isa / f"{family}.pyx"
                tiled = "tiles cimport" in source.read_text(encoding="utf-8") or family == "peak"
                more = SMALLER if not tiled and (isa == "v2" or family in LEVELS["NARROW"]) else []
                kernels.append(extension(f"cycnn._native.{isa}.{family}", [source], [*flags, *more]))
        built += cythonize(kernels, include_path=[str(root)], **options)
    return built


class BuildExtensions(build_ext):
    """Compile on all processors, with the compiler that makes vectors."""

    def run(self):
        if self.inplace:
            for ext in self.extensions:
                Path(self.get_ext_fullpath(ext.name)).parent.mkdir(exist_ok=True)
        super().run()

    def build_extensions(self):
        if CLANG_CL:
            self.use_clang_cl()
        elif not VISUAL_STUDIO:
            self.require_compiler()
        self.force = self.force or DEBUG  # the time stamps do not tell
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()

    def use_clang_cl(self):
        """Let clang-cl compile where setuptools has found Visual Studio, whose libraries and linker stay."""
        self.compiler.initialize(self.plat_name)
        self.compiler.cc = CLANG_CL
        target = "aarch64" if self.plat_name.endswith("arm64") else "x86_64"
        for options in (self.compiler.compile_options, self.compiler.ldflags_shared):
            # Optimisation of the whole program is in a form of Visual Studio's own.
            options[:] = [option for option in options if option not in ("/GL", "/LTCG")]
        self.compiler.compile_options.append(f"--target={target}-pc-windows-msvc")

    def require_compiler(self):
        """Say what to install where there is no compiler."""
        compiler = getattr(self.compiler, "compiler_so", ["cc"])[0]
        if shutil.which(compiler) is None:
            raise SystemExit(
                f"cycnn: building from source needs a C compiler, and `{compiler}` was not found. Install one "
                "(Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; macOS: xcode-select --install), "
                "or install a wheel: pip install --only-binary :all: cycnn"
            )


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExtensions},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED_API else {},
)
