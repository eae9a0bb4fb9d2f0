"""The choice of instruction set and threads, the step classes that all choices share, and buffers."""

import ctypes
import gc
import inspect
import math
import os
import re
import shutil
import weakref

import numpy as np
import pytest
from helpers import assert_same
from processes import PACKAGE, output_of, run_python

import cycnn
from cycnn import _native
from cycnn._native import Buffer, Memory, Program, Step, kernels, limits

# Of every loss, before what is its own.
LOSS = "y_true x probabilities losses dx weights scale average"
# What lowers a model and what ops call: every back end takes exactly these arguments.
ARGUMENTS = {
    "ActivationBackward": "dout y dx activation",
    "ActivationForward": "x out activation",
    "AddShares": "a b out activation y",
    "AffineCoefficients": "draws coefficients kind height width",
    "AffineTransform": "x coefficients out interpolation fill_mode fill_value",
    "AveragePool2DBackward": "dout dx window activation y",
    "AveragePool2DForward": "x out window",
    "BinaryCrossentropy": f"{LOSS} from_logits label_smoothing",
    "BinaryFocalCrossentropy": f"{LOSS} from_logits label_smoothing alpha gamma balanced",
    "Brightness": "x draws out low high",
    "CategoricalCrossentropy": f"{LOSS} from_logits label_smoothing",
    "CategoricalFocalCrossentropy": f"{LOSS} from_logits label_smoothing alpha gamma",
    "CategoricalHinge": LOSS,
    "ChannelAffine": "x scale shift residual out activation",
    "ChannelAffineBackward": "dout scale dx activation y",
    "ChannelMoments": "x mean variance",
    "ChannelNormBackward": "dout x mean variance gamma by_scale by_shift dx epsilon activation y",
    "ChannelSums": "x dout mean variance by_scale by_shift epsilon",
    "Combine": "operation xs out index activation",
    "Contrast": "x draws out low high",
    "Conv2DBackwardInput": "dout kernel dx window activation y",
    "Conv2DBackwardKernel": "x dout dkernel dbias window",
    "Conv2DForward": "x kernel bias out window activation",
    "Conv2DTransposeForward": "x kernel bias out window activation",
    "CosineSimilarity": LOSS,
    "CropImages": "x draws out",
    "DepthwiseConv2DBackwardInput": "dout kernel dx window activation y",
    "DepthwiseConv2DBackwardKernel": "x dout dkernel dbias window",
    "DepthwiseConv2DForward": "x kernel bias out window activation",
    "DrawnBoxes": "draws boxes height width",
    "ElementwiseLoss": f"{LOSS} name parameter",
    "Dropout": "x out rate key stream noise_shape affine",
    "EraseBoxes": "x boxes out values key stream low high",
    "Fill": "out value walk",
    "FlipImages": "x draws out horizontal vertical",
    "FoldNorm": "kernel bias mean variance gamma beta folded shift inner epsilon",
    "Gaussian": "x out stddev multiply key stream",
    "GroupMoments": "means variances mean variance",
    "MaxPool2DBackward": "dout index dx window activation y",
    "MaxPool2DForward": "x out index window",
    "MixImages": "x partners weights out",
    "MovingAverage": "moving batch momentum",
    "NormSums": "sums variance by_scale by_shift epsilon",
    "OverlapLoss": f"{LOSS} a b c d",
    "PReLUBackward": "dout x alpha dx dalpha",
    "PReLUForward": "x alpha out",
    "ParameterUpdate": "rule parameter gradient slots hyper accumulator steps squares most across bound decays average",
    "PasteBoxes": "x boxes out partners",
    "Penalty": "w l1 l2 penalty dw",
    "Pointwise": "x dout out name numbers",
    "Rescale": "x out scale offset",
    "Resize": "x out rows columns",
    "Round": "x out low high",
    "RowNormBackward": "dout x gamma mean inverse dx weight limit activation y",
    "RowNormForward": "x gamma beta mean inverse out weight epsilon limit activation",
    "RowNormSums": "x dout mean inverse dgamma dbeta",
    "ScaleAndShift": "mean variance gamma beta scale shift epsilon",
    "Select": "x index k out",
    "SparseCategoricalCrossentropy": f"{LOSS} from_logits ignore_class",
    "SoftmaxBackward": "dout y dx axis logarithm",
    "SoftmaxForward": "x out axis logarithm",
    "SquaredNorm": "gradient accumulator squares index hyper steps",
    "Standardize": "x mean variance index out invert shift",
    "StridedCopy": "x out walk",
    "StridedSum": "x out walk",
    "SumOfImages": "a out",
    "UniformDraws": "draws key ranges stream first",
}
BACK_ENDS = [
    pytest.param(isa, dtype, plain, id=f"{isa}-{dtype}-{'plain' if plain else 'tiles'}")
    for isa in _native.supported
    for dtype, plain in (("float32", False), ("float32", True), ("float64", False))
]
CHOICE = "from cycnn import _native; print(_native.isa, _native.kernels().Conv2DForward.__module__)"


def copy_of_package(folder, *without):
    """Copy the package to `folder`, without the files that match a pattern; return where it can be imported from."""
    shutil.copytree(PACKAGE, folder / "copy" / "cycnn", ignore=shutil.ignore_patterns("__pycache__", *without))
    return folder / "copy"


def import_error(code, folder, **options):
    """Run `code`, which must end in an ImportError, and return its message."""
    process = run_python(code, folder, **options)
    assert process.returncode == 1, process.stdout + process.stderr
    kind, message = process.stderr.strip().splitlines()[-1].split(": ", 1)
    assert kind == "ImportError"
    return message


class TestInstructionSet:
    @pytest.mark.parametrize("isa", _native.supported)
    def test_asked_for_is_chosen_with_its_kernels(self, isa, tmp_path):
        assert output_of(CHOICE, tmp_path, CYCNN_ISA=isa).split() == [isa, f"cycnn._native.{isa}.conv2d"]

    @pytest.mark.parametrize("settings", [{}, {"CYCNN_ISA": ""}], ids=["unset", "empty"])
    def test_not_asked_for_the_best_is_chosen(self, settings, tmp_path):
        assert output_of(CHOICE, tmp_path, **settings).split()[0] == _native.supported[0]

    @pytest.mark.parametrize("asked", ["v9", "V3", "v3 ", "avx2", "v2,v3"])
    def test_unknown_is_refused_with_what_is_possible(self, asked, tmp_path):
        assert import_error("import cycnn", tmp_path, CYCNN_ISA=asked) == (
            "CYCNN_ISA must name an instruction set that is built and that this CPU supports: "
            f"{', '.join(_native.supported)}. Received: CYCNN_ISA={asked!r}."
        )

    @pytest.mark.parametrize("asked", [level for level in _native.LEVELS if level not in _native.supported])
    def test_known_but_impossible_here_is_refused(self, asked, tmp_path):
        message = import_error("import cycnn", tmp_path, CYCNN_ISA=asked)
        assert message.endswith(f"supports: {', '.join(_native.supported)}. Received: CYCNN_ISA={asked!r}.")

    def test_supported_are_built_and_in_order(self):
        assert set(_native.supported) <= set(_native.built) <= set(_native.LEVELS)
        assert list(_native.supported) == sorted(_native.supported, key=_native.LEVELS.index)
        assert _native.isa in _native.supported

    def test_variant_that_does_not_import_is_an_error_and_no_fallback(self, tmp_path):
        path = copy_of_package(tmp_path)
        for file in (path / "cycnn/_native" / _native.supported[0]).glob("conv2d.*"):
            file.write_bytes(b"no shared object")
        import_error("import cycnn._native as native; native.kernels()", tmp_path, path=path)

    def test_package_without_any_variant_says_so(self, tmp_path):
        path = copy_of_package(tmp_path, *_native.LEVELS)
        assert import_error("import cycnn", tmp_path, path=path) == (
            "cycnn was built for nothing; this CPU supports none of it."
        )

    def test_checkout_that_was_not_built_says_how_to_build(self, tmp_path):
        path = copy_of_package(tmp_path, "*.so", "*.pyd", *_native.LEVELS)
        message = import_error("import cycnn", tmp_path, path=path)
        assert message.startswith(
            "cycnn's compiled extensions are missing: this looks like a source checkout that was not built. "
            "Run `pip install .` in it, and start Python in another folder. ("
        )


class TestStepClasses:
    @pytest.mark.parametrize(("isa", "dtype", "plain"), BACK_ENDS)
    def test_are_the_same_in_every_back_end(self, isa, dtype, plain):
        classes = vars(kernels(dtype, isa, plain))
        assert all(inspect.isclass(value) and issubclass(value, Step) for value in classes.values())
        bases = {base.__name__ for value in classes.values() for base in value.__mro__[1:]}
        # The packing of kernels is a step inside the steps of the tiles; Winograd's algorithm is theirs alone.
        winograd = {name for name in classes if name.startswith("Winograd")}
        assert set(classes) - bases - {"PackedKernel"} - winograd == set(ARGUMENTS)
        assert (winograd == set()) == (plain or dtype == "float64")

    @pytest.mark.parametrize("name", ARGUMENTS)
    @pytest.mark.parametrize(("isa", "dtype", "plain"), BACK_ENDS)
    def test_take_the_same_arguments_in_every_back_end(self, isa, dtype, plain, name):
        # Without embedded signatures, only the errors of wrong calls tell a constructor's arguments: an argument given
        # by place and by name is an error of its own, so that every `at` below finds a name at its place.
        step_class = getattr(kernels(dtype, isa, plain), name)
        names = ARGUMENTS[name].split()
        with pytest.raises(TypeError, match=rf"exactly {len(names)} positional arguments \(0 given\)"):
            step_class()
        for at in range(len(names) + 1):
            by_place, by_name = [object()] * at, dict.fromkeys(names[at:], object())
            with pytest.raises(TypeError) as wrong:
                step_class(*by_place, **by_name)
            assert re.search("incorrect type|real number|as an integer", str(wrong.value)), wrong.value

    def test_are_made_once(self):
        assert kernels() is kernels()
        assert kernels().Conv2DForward is not kernels("float64").Conv2DForward

    def test_plain_differs_from_tiles(self):
        assert kernels().Conv2DForward.__module__.endswith(".conv2d")
        assert kernels(plain=True).Conv2DForward.__module__.endswith(".plain")
        assert kernels("float64").Conv2DForward.__module__.endswith(".plain")


class TestBuffer:
    def test_knows_its_size(self):
        buffer = Buffer((2, 3, 4), "float64")
        assert (buffer.shape, buffer.dtype, buffer.size, buffer.nbytes) == ((2, 3, 4), "float64", 24, 192)
        assert Buffer((5,)).dtype == "float32"
        assert (Buffer(()).size, Buffer((3, 0, 2)).nbytes) == (1, 0)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "int64", "uint64"])
    @pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 4), (1, 2, 1, 3, 1, 2, 1, 2)])
    def test_shows_the_array_it_is_bound_to(self, shape, dtype):
        array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
        seen = np.asarray(Buffer.of(array))
        assert_same(seen, array)
        assert seen.flags.c_contiguous
        array += 1
        assert_same(seen, array)
        seen[...] = 7
        assert np.all(array == 7)

    def test_keeps_its_array_alive(self):
        class Array(np.ndarray):
            """An array that can be referred to weakly."""

        array = np.ones(3, "float32").view(Array)
        gone = weakref.ref(array)
        buffer = Buffer.of(array)
        del array
        gc.collect()
        assert gone() is not None
        buffer.bind(np.zeros(3, "float32"))
        gc.collect()
        assert gone() is None

    def test_bound_anew_shows_the_new_array(self):
        first, second = np.zeros(4, "float32"), np.ones(4, "float32")
        buffer = Buffer.of(first)
        buffer.bind(second)
        assert np.shares_memory(np.asarray(buffer), second)
        assert not np.shares_memory(np.asarray(buffer), first)

    def test_shows_its_place_in_memory(self):
        memory = Memory(64)
        whole, part = Buffer((16,), "float32"), Buffer((2, 2), "float32")
        whole.place(memory, 0)
        part.place(memory, 48)
        np.asarray(whole)[...] = np.arange(16)
        assert_same(np.asarray(part), np.array([[12, 13], [14, 15]], "float32"))
        del memory, whole
        gc.collect()
        assert_same(np.asarray(part), np.array([[12, 13], [14, 15]], "float32"))

    def test_of_a_read_only_array_is_read_only(self):
        array = np.ones((2, 2), "float32")
        array.flags.writeable = False
        buffer = Buffer.of(array)
        assert memoryview(buffer).readonly
        assert not np.asarray(buffer).flags.writeable
        assert np.shares_memory(np.asarray(buffer), array)
        with pytest.raises(TypeError, match="not writable"):
            ctypes.c_char.from_buffer(buffer)

    def test_placed_after_a_read_only_array_is_writable(self):
        array = np.ones(2, "float32")
        array.flags.writeable = False
        buffer = Buffer.of(array)
        buffer.place(Memory(8), 0)
        assert not memoryview(buffer).readonly

    def test_version_rises_with_every_change(self):
        buffer = Buffer((2,))
        versions = [buffer.version]
        for change in (
            lambda: buffer.bind(np.zeros(2, "float32")),
            lambda: buffer.bind(np.zeros(2, "float32")),
            lambda: buffer.place(Memory(8), 0),
            buffer.touch,
        ):
            change()
            versions.append(buffer.version)
        assert versions == sorted(set(versions))

    def test_unbound_has_nothing_to_show(self):
        with pytest.raises(BufferError, match="the buffer is not bound to memory"):
            memoryview(Buffer((2,)))

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((2, 3), "float64"),
            np.zeros((3, 2), "float32"),
            np.zeros(6, "float32"),
            np.zeros((2, 6), "float32")[:, ::2],
            np.zeros((3, 2), "float32").T,
        ],
        ids=["dtype", "shape", "rank", "strided", "transposed"],
    )
    def test_refuses_arrays_that_do_not_fit(self, array):
        buffer = Buffer((2, 3), "float32")
        with pytest.raises(ValueError, match=r"cannot bind .* to float32 \(2, 3\)"):
            buffer.bind(array)
        assert buffer.version == 1

    @pytest.mark.parametrize("offset", [-1, -64, 1, 57, 2**62])
    def test_refuses_places_outside_of_memory(self, offset):
        with pytest.raises(ValueError, match=f"^64 bytes at {offset} do not fit into 64$"):
            Buffer((16,)).place(Memory(64), offset)

    def test_refuses_unknown_types(self):
        with pytest.raises(KeyError, match="float16"):
            Buffer((2,), "float16")

    @pytest.mark.parametrize("rank", [65, 200])
    def test_refuses_more_axes_than_it_has_room_for(self, rank, tmp_path):
        # In a process of its own, because writing past the end of an object may kill it later.
        code = f"from cycnn._native import Buffer\ntry:\n Buffer((1,) * {rank})\nexcept ValueError as e:\n print(e)"
        assert "64" in output_of(code, tmp_path)


class TestMemoryAndPrograms:
    def test_memory_that_does_not_exist_is_an_error(self):
        with pytest.raises(MemoryError, match=r"could not be allocated"):
            Memory(2**62)

    def test_memory_of_no_bytes_is_memory(self):
        assert Memory(0).nbytes == 0

    def test_memory_is_aligned_to_cache_lines(self):
        buffer = Buffer((16,))
        for nbytes in (64, 100, 5000, 3 << 20):
            buffer.place(Memory(nbytes), 0)
            assert np.asarray(buffer).ctypes.data % 64 == 0

    def test_program_runs_steps_in_order(self):
        x, y, z = (np.full(3, value, "float32") for value in (2, 0, 0))
        rescale = kernels().Rescale
        first = rescale(Buffer.of(x), Buffer.of(y), 3.0, 1.0)
        second = rescale(Buffer.of(y), Buffer.of(z), 10.0, 0.0)
        Program([first, second]).run()
        assert_same(z, np.full(3, 70, "float32"))
        Program([]).run()

    def test_program_refuses_what_is_no_step(self):
        with pytest.raises(TypeError, match="Step"):
            Program([Buffer((1,))])

    def test_workspace_outside_of_memory_is_refused(self):
        x, dout = Buffer((1, 8, 8, 4)), Buffer((1, 8, 8, 4))
        step = kernels().Conv2DBackwardKernel(x, dout, Buffer((1, 1, 4, 4)), None, (1, 1, 1, 1, 0, 0, 0, 0, 1, 1))
        assert step.workspace > 0
        for offset in (-64, 64, 2**62):
            with pytest.raises(ValueError, match="do not fit into"):
                step.place_workspace(Memory(step.workspace), offset)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that describes a machine: CPUs in the affinity mask, and the files of its control group."""

    names = {"max": "cpu.max", "quota": "cpu/cpu.cfs_quota_us", "period": "cpu/cpu.cfs_period_us"}

    def describe(cpus, **files):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False)
        for name, text in files.items():
            path = tmp_path / names[name]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    for name in ("CYCNN_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return describe


class TestLimits:
    @pytest.mark.parametrize(
        ("cpus", "files", "expected"),
        [
            (4, {}, 4),
            (1, {}, 1),
            (4, {"max": "max 100000\n"}, 4),
            (4, {"max": "100000 100000\n"}, 1),
            (4, {"max": "150000 100000\n"}, 2),
            (4, {"max": "800000 100000\n"}, 4),
            (4, {"max": "1000 100000\n"}, 1),
            (4, {"quota": "-1\n", "period": "100000\n"}, 4),
            (4, {"quota": "100000\n", "period": "100000\n"}, 1),
            (8, {"quota": "250000\n", "period": "100000\n"}, 3),
            (8, {"quota": "250000\n"}, 8),
            (8, {"max": "max 100000\n", "quota": "100000\n", "period": "100000\n"}, 8),
            (4, {"max": "\n"}, 4),
            (4, {"max": "some text\n"}, 4),
            (4, {"max": "100000 0\n"}, 4),
            (4, {"quota": "", "period": "100000\n"}, 4),
        ],
    )
    def test_available_cpus_are_affinity_and_quota(self, machine, cpus, files, expected):
        machine(cpus, **files)
        assert limits.available_cpus() == expected
        assert limits.default_threads() == expected

    def test_without_affinity_the_cpus_of_the_machine_count(self, machine, monkeypatch):
        machine(4)
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: 3)
        assert limits.available_cpus() == 3
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert limits.available_cpus() == 1

    @pytest.mark.parametrize(
        ("own", "openmp", "expected"),
        [
            ("3", None, 3),
            ("3", "2", 3),
            (None, "2", 2),
            (None, "2,1", 2),
            (" 5 ", None, 5),
            ("", "2", 2),
            ("7", "text", 7),
            (None, "text", 4),
            (None, "0", 4),
            (None, "-1", 4),
            (None, "", 4),
            (None, "²", 4),
        ],
    )
    def test_environment_comes_before_the_machine(self, machine, monkeypatch, own, openmp, expected):
        machine(4)
        for name, value in (("CYCNN_NUM_THREADS", own), ("OMP_NUM_THREADS", openmp)):
            if value is not None:
                monkeypatch.setenv(name, value)
        assert limits.default_threads() == expected

    @pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "1e1", "²", "1025"])
    def test_own_variable_must_be_a_positive_int(self, machine, monkeypatch, value):
        machine(4)
        monkeypatch.setenv("CYCNN_NUM_THREADS", value)
        with pytest.raises(ImportError) as refused:
            limits.default_threads()
        assert str(refused.value).startswith("CYCNN_NUM_THREADS must be a positive int")
        assert str(refused.value).endswith(f"Received: CYCNN_NUM_THREADS={value!r}.")


class TestNumberOfThreads:
    SHOW = "import cycnn; print(cycnn.get_num_threads())"

    def test_environment_sets_it(self, tmp_path):
        assert output_of(self.SHOW, tmp_path, CYCNN_NUM_THREADS="3").strip() == "3"
        assert output_of(self.SHOW, tmp_path, OMP_NUM_THREADS="3").strip() == "3"
        assert output_of(self.SHOW, tmp_path, OMP_NUM_THREADS="3", CYCNN_NUM_THREADS="2").strip() == "2"

    @pytest.mark.parametrize("value", ["0", "many", "99999999999"])
    def test_bad_environment_stops_the_import(self, tmp_path, value):
        message = import_error("import cycnn", tmp_path, CYCNN_NUM_THREADS=value)
        assert message.startswith("CYCNN_NUM_THREADS must be a positive int")

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
    def test_affinity_of_one_cpu_gives_one_thread(self, tmp_path):
        pin = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        assert output_of(pin + self.SHOW, tmp_path).strip() == "1"

    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_set_is_got(self, n):
        before = cycnn.get_num_threads()
        cycnn.set_num_threads(n)
        after = cycnn.get_num_threads()
        cycnn.set_num_threads(before)
        assert after == n

    @pytest.mark.parametrize(
        ("n", "kind"), [(0, ValueError), (-1, ValueError), (2**40, ValueError), ("2", TypeError), (1.5, TypeError)]
    )
    def test_bad_numbers_are_refused_and_change_nothing(self, n, kind):
        before = cycnn.get_num_threads()
        try:
            with pytest.raises(kind, match=r"set_num_threads: `n` must .* Received: n="):
                cycnn.set_num_threads(n)
            assert cycnn.get_num_threads() == before
        finally:
            cycnn.set_num_threads(before)
