"""The data sets: exact arrays from good files, an exact error from every kind of bad one."""

import gzip
import hashlib
import io
import os
import pathlib
import struct
import tarfile
import tracemalloc

import numpy as np
import pytest
from processes import output_of

from cycnn.datasets import archive as archive_module
from cycnn.datasets import digits as digits_module
from cycnn.datasets import load_cifar10, load_digits, load_mnist, read_idx

PIXELS = np.random.RandomState(0).randint(0, 256, (7, 5, 4)).astype(np.uint8)
LABELS = np.array([3, 0, 9, 9, 1, 2, 3], np.uint8)
FILES = {
    "train-images": "idx3-ubyte",
    "train-labels": "idx1-ubyte",
    "t10k-images": "idx3-ubyte",
    "t10k-labels": "idx1-ubyte",
}


def idx_bytes(array, shape=None):
    shape = array.shape if shape is None else shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.tobytes()


IMAGE_FILE = idx_bytes(PIXELS)
LABEL_FILE = idx_bytes(LABELS)


def write_mnist(folder, separator="-", compress=False, **replaced):
    """Write the four files; ``replaced``: e.g. train_labels=other contents, None to leave out."""
    for stem, kind in FILES.items():
        content = IMAGE_FILE if "images" in stem else LABEL_FILE
        content = replaced.get(stem.replace("-", "_"), content)
        if content is not None:
            suffix = ".gz" if compress else ""
            data = gzip.compress(content) if compress else content
            (folder / f"{stem}{separator}{kind}{suffix}").write_bytes(data)


@pytest.fixture(scope="module")
def real_folder():
    data = os.environ.get("CYCNN_DATA")
    if not data:
        pytest.skip("CYCNN_DATA is not set: the real MNIST files are not here")
    return pathlib.Path(data, "mnist")


# ---- IDX ----


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("array", [LABELS, PIXELS], ids=["labels", "images"])
def test_read_idx_returns_the_stored_bytes(tmp_path, array, pack):
    path = tmp_path / "named-without-a-hint"
    path.write_bytes(pack(idx_bytes(array)))
    for argument in (path, str(path)):
        out = read_idx(argument)
        assert out.dtype == np.uint8
        assert out.flags.writeable
        assert out.flags.c_contiguous
        np.testing.assert_array_equal(out, array, strict=True)
    np.testing.assert_array_equal(read_idx(path, ndim=array.ndim), array, strict=True)


def test_read_idx_joins_gzip_members(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(IMAGE_FILE[:50]) + gzip.compress(IMAGE_FILE[50:]))
    np.testing.assert_array_equal(read_idx(path), PIXELS, strict=True)


def test_read_idx_refuses_what_is_no_path():
    # An int would be taken for a file descriptor, and closed.
    with pytest.raises(TypeError) as error:
        read_idx(0)
    assert str(error.value) == "read_idx: `path` must be a str or os.PathLike. Received: path=0."


@pytest.mark.parametrize("name", ["absent", "."])
def test_read_idx_names_the_absent_file(tmp_path, name):
    path = str(tmp_path / name)
    with pytest.raises(FileNotFoundError) as error:
        read_idx(path)
    assert str(error.value) == (f"read_idx: `path` must name an existing file. Received: path={path!r}.")


HUGE = struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3)
RULE = "a complete IDX file of unsigned bytes"
# name: (contents, ndim asked for, what the file must be, what it is)
BROKEN = {
    "empty": (b"", None, RULE, "is truncated: 0 of 4 bytes of the magic number"),
    "magic cut": (IMAGE_FILE[:3], None, RULE, "is truncated: 3 of 4 bytes of the magic number"),
    "sizes cut": (IMAGE_FILE[:9], None, RULE, "is truncated: 5 of 12 bytes of sizes"),
    "no data": (IMAGE_FILE[:16], None, RULE, "is truncated: 0 of 140 data bytes"),
    "one byte missing": (IMAGE_FILE[:-1], None, RULE, "is truncated: 139 of 140 data bytes"),
    "one byte more": (
        IMAGE_FILE + b"\0",
        None,
        RULE,
        "has trailing bytes after its 140 data bytes",
    ),
    "not IDX": (b"\x89PNG\r\n\x1a\n", None, RULE, "begins with 89 50 4e 47"),
    "little-endian": (b"\x03\x08\0\0" + IMAGE_FILE[4:], None, RULE, "begins with 03 08 00 00"),
    "type int32": (b"\0\0\x0c\x03" + IMAGE_FILE[4:], None, RULE, "begins with 00 00 0c 03"),
    "no dimensions": (b"\0\0\x08\0" + IMAGE_FILE[4:], None, RULE, "begins with 00 00 08 00"),
    "33 dimensions": (b"\0\0\x08\x21" + bytes(132), None, RULE, "begins with 00 00 08 21"),
    "no images": (idx_bytes(PIXELS, (0, 5, 4)), 3, RULE, "announces no elements: shape (0, 5, 4)"),
    "no rows": (idx_bytes(PIXELS, (7, 0, 4)), 3, RULE, "announces no elements: shape (7, 0, 4)"),
    "no columns": (idx_bytes(PIXELS, (7, 5, 0)), 3, RULE, "announces no elements: shape (7, 5, 0)"),
    "huge": (HUGE + b"abc", 3, RULE, f"is truncated: 3 of {(2**32 - 1) ** 3} data bytes"),
    "images for labels": (
        IMAGE_FILE,
        1,
        "an IDX file of labels (1 dimension)",
        "holds images (3 dimensions)",
    ),
    "labels for images": (
        LABEL_FILE,
        3,
        "an IDX file of images (3 dimensions)",
        "holds labels (1 dimension)",
    ),
    "colour for images": (
        idx_bytes(PIXELS[..., None]),
        3,
        "an IDX file of images (3 dimensions)",
        "holds arrays with 4 dimensions",
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "ndim", "rule", "fact"), BROKEN.values(), ids=BROKEN)
def test_read_idx_refuses_broken_contents(tmp_path, content, ndim, rule, fact, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(content))
    with pytest.raises(ValueError) as error:
        read_idx(path, ndim=ndim)
    expected = f"read_idx: `path` must name {rule}. Received: path={str(path)!r}, which {fact}."
    assert str(error.value) == expected


PACKED = gzip.compress(IMAGE_FILE, mtime=0)
# The reasons in parentheses are Python's own words and differ between its versions.
BROKEN_GZIP = {
    "cut in its header": PACKED[:6],
    "cut in its data": PACKED[: len(PACKED) // 2],
    "cut in its checksum": PACKED[:-3],
    "wrong checksum": PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
    "wrong length": PACKED[:-1] + b"\x01",
    "broken block": PACKED[:10] + b"\xff" * 20 + PACKED[30:],
    "unknown method": PACKED[:2] + b"\x07" + PACKED[3:],
    "trailing garbage": PACKED + b"garbage",
}


@pytest.mark.parametrize("content", BROKEN_GZIP.values(), ids=BROKEN_GZIP)
def test_read_idx_refuses_broken_gzip(tmp_path, content):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_idx(path)
    start = "read_idx: `path` must name an intact gzip file. "
    start += f"Received: path={str(path)!r}, which cannot be decompressed ("
    assert str(error.value).startswith(start)
    assert str(error.value).endswith(").")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("header", "fact"),
    [
        (HUGE, "is truncated"),
        (struct.pack(">BBBB1I", 0, 0, 8, 1, 7), "has trailing bytes"),
    ],
    ids=["announces too much", "announces too little"],
)
def test_read_idx_memory_is_bounded_by_data_and_header(tmp_path, header, fact, pack):
    # 7 bytes are announced and 64 MiB follow, or 7e28 are announced and 2 MiB follow.
    path = tmp_path / "file"
    path.write_bytes(pack(header + bytes((2 if header is HUGE else 64) << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=fact):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


# ---- MNIST ----


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_load_mnist_returns_images_in_0_1_and_labels(tmp_path, separator, compress):
    test_images, test_labels = idx_bytes(PIXELS[:3]), idx_bytes(LABELS[:3])
    write_mnist(tmp_path, separator, compress, t10k_images=test_images, t10k_labels=test_labels)
    for folder in (tmp_path, str(tmp_path)):
        (x_train, y_train), (x_test, y_test) = load_mnist(folder)
        expected = (PIXELS.astype(np.float32) / np.float32(255))[..., np.newaxis]
        np.testing.assert_array_equal(x_train, expected, strict=True)
        np.testing.assert_array_equal(x_test, expected[:3], strict=True)
        np.testing.assert_array_equal(y_train, LABELS.astype(np.int32), strict=True)
        np.testing.assert_array_equal(y_test, LABELS[:3].astype(np.int32), strict=True)
        assert x_train.flags.c_contiguous


def test_load_mnist_prefers_the_classic_plain_file(tmp_path):
    write_mnist(tmp_path, ".", compress=True, train_labels=b"not read")
    write_mnist(tmp_path, ".", train_labels=b"not read")
    write_mnist(tmp_path, "-", compress=True, train_labels=b"not read")
    write_mnist(tmp_path)
    assert len(load_mnist(tmp_path)[0][1]) == len(LABELS)


@pytest.mark.parametrize("stem", FILES)
def test_load_mnist_names_the_absent_file(tmp_path, stem):
    write_mnist(tmp_path, **{stem.replace("-", "_"): None})
    (tmp_path / f"{stem}-{FILES[stem]}").mkdir()  # a folder of that name is no file
    with pytest.raises(FileNotFoundError) as error:
        load_mnist(tmp_path)
    kind = FILES[stem]
    names = f"{stem}-{kind}, {stem}-{kind}.gz, {stem}.{kind}, {stem}.{kind}.gz"
    assert str(error.value) == (
        f"load_mnist: `folder` must contain one of {names}. Received: folder={str(tmp_path)!r}."
    )


def test_load_mnist_refuses_an_absent_folder(tmp_path):
    path = str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError) as error:
        load_mnist(path)
    assert str(error.value) == (f"load_mnist: `folder` must be an existing folder. Received: folder={path!r}.")


def test_load_mnist_refuses_what_is_no_path():
    with pytest.raises(TypeError) as error:
        load_mnist(None)
    assert str(error.value) == ("load_mnist: `folder` must be a str or os.PathLike. Received: folder=None.")


# name: (replaced files, exact error with {folder} left open)
MISMATCHED = {
    "label 10": (
        {"train_labels": idx_bytes(np.array([0, 1, 10, 3, 255, 5, 6], np.uint8))},
        "load_mnist: `folder` must hold labels from 0 to 9. Received: "
        "'{folder}/train-labels-idx1-ubyte' with label 10 at position 2.",
    ),
    "fewer labels": (
        {"t10k_labels": idx_bytes(LABELS[:6])},
        "load_mnist: `folder` must hold one label for every image. Received: "
        "'{folder}/t10k-images-idx3-ubyte' with 7 images and "
        "'{folder}/t10k-labels-idx1-ubyte' with 6 labels.",
    ),
    "other size": (
        {"t10k_images": idx_bytes(PIXELS.reshape(7, 4, 5))},
        "load_mnist: `folder` must hold images of one size. Received: "
        "'{folder}/train-images-idx3-ubyte' with 5 x 4 pixels and "
        "'{folder}/t10k-images-idx3-ubyte' with 4 x 5 pixels.",
    ),
    "images for labels": (
        {"train_labels": IMAGE_FILE},
        "read_idx: `path` must name an IDX file of labels (1 dimension). Received: "
        "path='{folder}/train-labels-idx1-ubyte', which holds images (3 dimensions).",
    ),
    "labels for images": (
        {"t10k_images": LABEL_FILE},
        "read_idx: `path` must name an IDX file of images (3 dimensions). Received: "
        "path='{folder}/t10k-images-idx3-ubyte', which holds labels (1 dimension).",
    ),
    "truncated images": (
        {"train_images": IMAGE_FILE[:-40]},
        "read_idx: `path` must name a complete IDX file of unsigned bytes. Received: "
        "path='{folder}/train-images-idx3-ubyte', which is truncated: 100 of 140 data bytes.",
    ),
}


@pytest.mark.skipif(os.sep != "/", reason="the expected messages spell paths with /")
@pytest.mark.parametrize(("replaced", "message"), MISMATCHED.values(), ids=MISMATCHED)
def test_load_mnist_refuses_files_that_do_not_fit(tmp_path, replaced, message):
    write_mnist(tmp_path, **replaced)
    with pytest.raises(ValueError) as error:
        load_mnist(tmp_path)
    assert str(error.value) == message.format(folder=tmp_path)


def test_load_mnist_has_the_published_numbers(real_folder):
    (x_train, y_train), (x_test, y_test) = load_mnist(real_folder)
    for x, y, count in ((x_train, y_train, 60000), (x_test, y_test, 10000)):
        assert x.shape == (count, 28, 28, 1)
        assert y.shape == (count,)
        assert x.dtype == np.float32
        assert y.dtype == np.int32
        assert x.min() == 0
        assert x.max() == 1
    train_counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_train).tolist() == train_counts
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and deviation that everyone normalises MNIST with.
    assert round(float(x_train.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(x_train.std(dtype=np.float64)), 4) == 0.3081


def test_real_mnist_bytes_are_the_classic_files(real_folder):
    images = read_idx(real_folder / "train-images-idx3-ubyte.gz", ndim=3)
    content = idx_bytes(images)
    assert hashlib.md5(content).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"


def test_load_mnist_needs_no_float64_intermediate(real_folder):
    tracemalloc.start()
    try:
        load_mnist(real_folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 220 MB are returned, and the bytes of one part live beside them; one float64 copy is 376 MB.
    assert peak < 320e6


# ---- CIFAR-10 ----

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BINARIES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
COLOURS = np.random.RandomState(1).randint(0, 256, (12, 32, 32, 3)).astype(np.uint8)
NUMBERS = np.array([0, 9, 3, 3, 5, 1, 2, 8, 7, 7, 4, 6], np.uint8)


def records(rows):
    """Return rows of the images as the binary version stores them."""
    planes = COLOURS[rows].transpose(0, 3, 1, 2).reshape(-1, 3072)
    return np.concatenate([NUMBERS[rows][:, None], planes], axis=1).tobytes()


def binary_files(**replaced):
    """Return the six files by name: two images in each; ``replaced``: e.g. test_batch=other contents."""
    files = {name: records(slice(2 * i, 2 * i + 2)) for i, name in enumerate(BINARIES)}
    files |= {f"{name}.bin": content for name, content in replaced.items()}
    return {name: content for name, content in files.items() if content is not None}


def image_files(suffix="png", **options):
    """Return an image folder by path: of class k, in training two images of the colours k and 10 + k, else one."""
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    files = {}
    for part, count in (("train", 2), ("test", 1)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                stream = io.BytesIO()
                image = np.full((32, 32, 3), 10 * i + number, np.uint8)
                Image.fromarray(image).save(stream, {"jpg": "JPEG"}.get(suffix, suffix), **options)
                files[f"{part}/{name}/{i}.{suffix}"] = stream.getvalue()
    return files


def write_files(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_archive(path, files, prefix="", mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


# Where the same files may lie.
PLACES = {
    "folder": write_files,
    "published folder": lambda folder, files: (write_files(folder / "cifar-10-batches-bin", files), folder)[1],
    ".tar.gz": lambda folder, files: write_archive(folder / "c.tar.gz", files),
    ".tar.gz with folders": lambda folder, files: write_archive(folder / "c", files, "./some/folder/"),
    ".tar": lambda folder, files: write_archive(folder / "c.tar", files, mode="w"),
}


@pytest.mark.parametrize("place", PLACES)
def test_load_cifar10_returns_the_bytes_of_the_binary_version(tmp_path, place):
    path = PLACES[place](tmp_path, binary_files())
    for argument in (path, str(path)):
        (x_train, y_train), (x_test, y_test) = load_cifar10(argument)
        np.testing.assert_array_equal(x_train, COLOURS[:10], strict=True)
        np.testing.assert_array_equal(x_test, COLOURS[10:], strict=True)
        np.testing.assert_array_equal(y_train, NUMBERS[:10].astype(np.int32), strict=True)
        np.testing.assert_array_equal(y_test, NUMBERS[10:].astype(np.int32), strict=True)
        assert x_train.flags.c_contiguous and x_train.flags.writeable


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("place", [place for place in PLACES if place != "published folder"])
def test_load_cifar10_takes_images_of_each_class_in_turn(tmp_path, place, suffix):
    files = image_files(suffix) | {"train/cat/notes.txt": b"", "train/cat/._0.png": b"", "train/cats/0.png": b""}
    (x_train, y_train), (x_test, y_test) = load_cifar10(PLACES[place](tmp_path, files))
    assert x_train.dtype == x_test.dtype == np.uint8
    assert x_train.shape == (20, 32, 32, 3)
    np.testing.assert_array_equal(x_train[:, 0, 0, 0], np.arange(20))
    np.testing.assert_array_equal(x_test[:, 31, 31, 2], np.arange(10))
    np.testing.assert_array_equal(y_train, np.tile(np.arange(10, dtype=np.int32), 2), strict=True)
    np.testing.assert_array_equal(y_test, np.arange(10, dtype=np.int32), strict=True)


@pytest.mark.parametrize(
    ("argument", "error", "text"),
    [
        (3, TypeError, "`folder` must be a str or os.PathLike. Received: folder=3."),
        (
            "absent",
            FileNotFoundError,
            "`folder` must be an existing folder or .tar.gz file. Received: folder='absent'.",
        ),
    ],
)
def test_load_cifar10_refuses_what_is_no_place(argument, error, text):
    with pytest.raises(error) as caught:
        load_cifar10(argument)
    assert str(caught.value) == f"load_cifar10: {text}"


@pytest.mark.parametrize("place", ["folder", ".tar.gz"])
def test_load_cifar10_names_what_is_missing(tmp_path, place):
    images = {name: content for name, content in image_files().items() if "test/frog" not in name}
    for name, (files, missing) in {
        "a": ({"readme.html": b""}, "train/airplane with .jpg or .png files"),
        "b": (binary_files(data_batch_4=None), "data_batch_4.bin"),
        "c": (binary_files(test_batch=None), "test_batch.bin"),
        "d": (images, "test/frog with .jpg or .png files"),
    }.items():
        (tmp_path / name).mkdir()
        path = str(PLACES[place](tmp_path / name, files))
        with pytest.raises(FileNotFoundError) as caught:
            load_cifar10(path)
        assert str(caught.value) == (
            "load_cifar10: `folder` must hold data_batch_1.bin to data_batch_5.bin and test_batch.bin, or images in "
            f"train/<class> and test/<class>. Received: folder={path!r} without {missing}."
        )


BAD_LABEL = bytes([9]) + bytes(3072) + bytes([10]) + bytes(3072)
# name: (file, contents, what the folder must hold, what the file is)
BROKEN_CIFAR = {
    "cut": ("data_batch_2.bin", bytes(3072), "complete binary files", "has 3072 bytes, no multiple of 3073"),
    "void": ("test_batch.bin", b"", "complete binary files", "has 0 bytes, no multiple of 3073"),
    "label": ("data_batch_1.bin", BAD_LABEL, "labels from 0 to 9", "has label 10 at position 1"),
    "text": ("test/dog/0.png", b"text", "intact images of 32 x 32 pixels", "is no image that Pillow knows"),
    "large": ("train/dog/1.png", bytes(1 << 21), "intact images of 32 x 32 pixels", "has 2097152 bytes"),
}


@pytest.mark.parametrize("place", ["folder", ".tar.gz"])
@pytest.mark.parametrize("case", BROKEN_CIFAR)
def test_load_cifar10_names_the_damaged_file(tmp_path, case, place):
    name, content, rule, fact = BROKEN_CIFAR[case]
    files = (binary_files() if name.endswith(".bin") else image_files()) | {name: content}
    path = PLACES[place](tmp_path, files)
    with pytest.raises(ValueError) as caught:
        load_cifar10(path)
    expected = f"load_cifar10: `folder` must hold {rule}. Received: '{path}/{name}', which {fact}."
    if (case, place) == ("large", ".tar.gz"):
        expected = f"load_cifar10: `folder` must be an intact archive. Received: folder='{path}', which holds "
        expected += f"{name!r} of 2097152 bytes, more than 1048576."
    assert str(caught.value) == expected


def test_load_cifar10_names_images_that_are_cut_or_of_another_size(tmp_path):
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    folder = write_files(tmp_path, image_files("jpg"))
    cut = folder / "train" / "cat" / "1.jpg"
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(ValueError) as caught:
        load_cifar10(folder)
    assert f"Received: {str(cut)!r}, which cannot be decoded (" in str(caught.value)
    Image.new("RGB", (33, 31)).save(cut)
    with pytest.raises(ValueError) as caught:
        load_cifar10(folder)
    assert str(caught.value).endswith(f"Received: {str(cut)!r}, which has 31 x 33 pixels.")


def test_load_cifar10_reads_no_member_of_an_archive_as_a_path(tmp_path):
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "c.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in binary_files().items():
            member = tarfile.TarInfo("../../" + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    assert len(load_cifar10(path)[0][0]) == 10
    assert sorted(tmp_path.rglob("*")) == before


def test_load_cifar10_refuses_damaged_archives(tmp_path):
    whole = write_archive(tmp_path / "whole", binary_files()).read_bytes()
    plain = gzip.decompress(whole)
    header = bytearray(plain)
    header[512 * 14 * 2 + 100] ^= 1  # in the third member's header
    cases = {
        "no archive": b"This is no archive." * 100,
        "void": b"",
        "cut": whole[: len(whole) // 2],
        "cut in its checksum": whole[:-3],
        "wrong checksum": whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
        "plain and cut": plain[:4000],
        "damaged header": bytes(header),
    }
    for name, content in cases.items():
        path = tmp_path / "c.tar.gz"
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            load_cifar10(path)
        start = f"load_cifar10: `folder` must be an intact archive. Received: folder={str(path)!r}, which "
        assert str(caught.value).startswith(start), name


@pytest.mark.parametrize("hostile", ["huge member", "huge header", "endless zeros"])
def test_memory_is_bounded_whatever_an_archive_expands_to(tmp_path, hostile, monkeypatch):
    monkeypatch.setattr(archive_module.read_archive, "__defaults__", (8 << 20,))
    path = tmp_path / "c.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        member = tarfile.TarInfo("test_batch.bin" if hostile == "huge member" else "x")
        member.size = 1 << 40
        if hostile == "huge header":
            member.type = tarfile.XHDTYPE
        if hostile != "endless zeros":
            stream.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, FileNotFoundError), match=r"more than|intact archive"):
            load_cifar10(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_load_cifar10_has_the_published_numbers():
    data = os.environ.get("CYCNN_DATA")
    if not data:
        pytest.skip("CYCNN_DATA is not set: the real CIFAR-10 images are not here")
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    (x_train, y_train), (x_test, y_test) = load_cifar10(pathlib.Path(data, "cifar10-jpeg.tar.gz"))
    assert x_train.shape == (50000, 32, 32, 3) and x_test.shape == (10000, 32, 32, 3)
    assert np.bincount(y_train).tolist() == [5000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert np.bincount(y_train[-1000:]).tolist() == [100] * 10
    # The means and deviations that everyone normalises CIFAR-10 with; JPEG has changed them a little.
    channels = x_train.reshape(-1, 3) / np.float32(255)
    np.testing.assert_allclose(channels.mean(0, dtype=np.float64), [0.4914, 0.4822, 0.4465], atol=1e-3)
    np.testing.assert_allclose(channels.std(0, dtype=np.float64), [0.2470, 0.2435, 0.2616], atol=3e-3)


# ---- the digits of the package ----

DIGITS = pathlib.Path(digits_module.__file__).with_name("digits-idx2-ubyte.gz")


def test_load_digits_returns_images_in_0_1_and_labels():
    for (x, y), count in zip(load_digits(), (1437, 360), strict=True):
        assert x.dtype == np.float32 and x.shape == (count, 8, 8, 1)
        assert y.dtype == np.int32 and y.shape == (count,)
        assert x.min() == 0 and x.max() == 1
        assert x.flags.c_contiguous and x.flags.writeable


def test_load_digits_has_the_published_numbers():
    (x_train, y_train), (x_test, y_test) = load_digits()
    counts = np.bincount(y_train) + np.bincount(y_test)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(y_test).tolist() == [27, 35, 36, 29, 30, 40, 44, 39, 39, 41]
    pixels, labels = np.concatenate([x_test, x_train]) * 16, np.concatenate([y_test, y_train])
    rows = np.column_stack([pixels.reshape(-1, 64), labels]).astype(np.uint8)
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    assert digest == "2d95da6cfaf76e157b84fe6ef9cc029a492348da6c67f2e196592f79bf4d77e1"


def test_load_digits_keeps_training_and_test_apart():
    order = np.random.RandomState(0).permutation(1797)
    stored = read_idx(DIGITS)
    (x_train, _), (x_test, _) = load_digits()
    np.testing.assert_array_equal(x_test.reshape(360, 64) * 16, stored[order[:360], :64])
    np.testing.assert_array_equal(x_train.reshape(1437, 64) * 16, stored[order[360:], :64])
    assert len(np.unique(stored[:, :64], axis=0)) == 1797  # so that no image is on both sides


def test_load_digits_gives_arrays_of_one_s_own():
    load_digits()[0][0][:] = 0
    assert load_digits()[0][0].max() == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:-9],
        lambda content: content[:9000] + bytes(9) + content[9009:],
        lambda content: gzip.compress(idx_bytes(PIXELS)),
        lambda content: idx_bytes(PIXELS.reshape(28, 5)),
        None,
    ],
    ids=["empty", "cut", "overwritten", "images of another set", "rows of another set", "missing"],
)
def test_load_digits_names_the_file_that_is_missing_or_damaged(tmp_path, monkeypatch, spoil):
    path = tmp_path / DIGITS.name
    kind, fact = (ValueError, "is damaged") if spoil else (FileNotFoundError, "is missing")
    if spoil:
        path.write_bytes(spoil(DIGITS.read_bytes()))
    monkeypatch.setattr(digits_module, "_FOLDER", str(tmp_path))
    with pytest.raises(kind) as caught:
        load_digits()
    assert str(caught.value) == (
        "load_digits: digits-idx2-ubyte.gz must be as it came with the package. "
        f"Received: {str(path)!r}, which {fact}. Install cycnn again."
    )


def test_digits_are_small_and_come_with_their_source_and_licence():
    assert DIGITS.stat().st_size < 100_000
    notice = DIGITS.with_name("digits.txt").read_text(encoding="utf-8")
    words = ("E. Alpaydin and C. Kaynak", "10.24432/C50P49", "https://creativecommons.org/licenses/by/4.0/", "changed")
    assert [word for word in words if word not in notice] == []


# ---- the package ----


def test_import_of_datasets_loads_no_decompressor(tmp_path):
    script = (
        "import sys, numpy, cycnn; before = set(sys.modules); import cycnn.datasets; "
        "print(*(set(sys.modules) - before))"
    )
    loaded = {name for name in output_of(script, tmp_path).split() if not name.startswith("cycnn.")}
    assert loaded <= {"__future__"}
