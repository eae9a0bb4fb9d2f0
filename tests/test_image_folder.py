"""Images as files: reading and writing single ones, and folders of them as data sets."""

import io
import os
import sys
import threading

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of

import cycnn
from cycnn.batches.streams import DatasetSource
from cycnn.interpolation import METHODS, taps
from cycnn.utils import array_to_img, image_dataset_from_directory, img_to_array, load_img, save_img

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
RNG = np.random.default_rng(0)


def pixels(height=5, width=7, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RNG.integers(0, 256, shape).astype("uint8")


def write(path, array=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pixels() if array is None else array
    Image.fromarray(array).save(path, **options)
    return array


@pytest.fixture
def folder(tmp_path):
    """Three classes of 4, 3 and 5 images; each is one colour, which is its number."""
    number = 0
    for name, count in (("ant", 4), ("bee", 3), ("cow", 5)):
        for i in range(count):
            write(tmp_path / name / f"{i}.png", np.full((4, 6, 3), number, "uint8"))
            number += 1
    return tmp_path


def numbers(dataset):
    """Return the numbers of the images in each batch."""
    return [batch[0][:, 0, 0, 0].astype(int).tolist() for batch in dataset]


def read(directory, **options):
    return image_dataset_from_directory(directory, **{"image_size": (4, 6), "verbose": False} | options)


# --- single images ------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "suffix"), [(1, "png"), (3, "png"), (4, "png"), (3, "bmp")])
def test_what_is_saved_is_loaded(tmp_path, channels, suffix):
    x = pixels(channels=channels).reshape(5, 7, channels)
    mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    for path in (tmp_path / f"x.{suffix}", str(tmp_path / f"y.{suffix}")):
        save_img(path, x, scale=False)
        got = img_to_array(load_img(path, color_mode=mode))
        assert_same(got, x.astype("float32"))
    assert_same(img_to_array(load_img(os.fsencode(path), mode), "channels_first", "uint8"), x.transpose(2, 0, 1))
    save_img(tmp_path / "z.png", x.transpose(2, 0, 1), "channels_first", scale=False)
    assert_same(img_to_array(load_img(tmp_path / "z.png", mode)), got)


def test_images_are_written_to_files_in_memory_in_the_format_asked_for(tmp_path):
    file = io.BytesIO()
    x = pixels()
    save_img(file, x, file_format="jpg", scale=False, quality=95)
    assert file.getvalue()[:2] == b"\xff\xd8"
    file.seek(0)
    assert np.abs(img_to_array(load_img(file)) - x).mean() < 60
    with pytest.warns(UserWarning, match="JPEG knows no opacity"):
        save_img(tmp_path / "x.jpg", pixels(channels=4))


def test_arrays_are_scaled_to_bytes():
    x = np.array([[[-1.0], [0.0], [3.0]]])
    assert np.asarray(array_to_img(x)).tolist() == [[0, 63, 255]]
    assert np.asarray(array_to_img(np.full((1, 2, 1), 7.0))).tolist() == [[0, 0]]
    assert np.asarray(array_to_img(np.array([[[1.9], [300.0]]]), scale=False)).tolist() == [[1, 300]]
    assert array_to_img(pixels(channels=4)).mode == "RGBA"


def test_load_img_resizes_and_cuts(tmp_path):
    x = np.zeros((4, 8, 3), "uint8")
    x[:, 2:6] = 200  # the square in the middle
    write(tmp_path / "x.png", x)
    assert load_img(tmp_path / "x.png", target_size=(2, 3)).size == (3, 2)
    cut = img_to_array(load_img(tmp_path / "x.png", target_size=(2, 2), keep_aspect_ratio=True))
    assert_same(cut, np.full((2, 2, 3), 200, "float32"))


def test_grey_images_of_16_bits_stay_so_with_load_img(tmp_path):
    x = np.array([[0, 256, 65535]], "uint16")
    write(tmp_path / "x.png", x)
    assert_same(img_to_array(load_img(tmp_path / "x.png", "grayscale"))[..., 0], x.astype("float32"))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("load_img(3)", TypeError,
         "load_img: `path` must be a str, an os.PathLike or an io.BytesIO. Received: path=3."),
        ("load_img('x', 'hsv')", ValueError,
         "load_img: `color_mode` must be one of 'grayscale', 'rgb', 'rgba'. Received: color_mode='hsv'."),
        ("load_img('x', interpolation='area')", ValueError,
         "load_img: `interpolation` must be one of 'bicubic', 'bilinear', 'box', 'hamming', 'lanczos', 'nearest'. "
         "Received: interpolation='area'."),
        ("load_img('x', target_size=(0, 3))", ValueError,
         "load_img: `target_size` must be a positive int or a pair of them. Received: target_size=(0, 3)."),
        ("img_to_array([1, 2])", ValueError,
         "img_to_array: `img` must have two or three dimensions. Received: img.shape=(2,)."),
        ("array_to_img([1, 2])", ValueError,
         "array_to_img: `x` must have three dimensions. Received: x.shape=(2,)."),
        ("array_to_img([[[1, 2]]])", ValueError,
         "array_to_img: `x` must have 1, 3 or 4 channels. Received: x.shape=(1, 1, 2)."),
        ("array_to_img([[[1]]], 'nhwc')", ValueError,
         "array_to_img: `data_format` must be one of 'channels_first', 'channels_last'. Received: data_format='nhwc'."),
    ],
)  # fmt: skip
def test_single_images_refuse_what_does_not_fit(call, error, text):
    with pytest.raises(error) as caught:
        eval(call)
    assert str(caught.value) == text


def test_without_pillow_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    for call in (lambda: load_img("x.png"), lambda: array_to_img([[[1]]]), lambda: read(tmp_path)):
        with pytest.raises(ImportError, match=r": Pillow must be installed\. Run pip install 'cycnn\[images\]'\.$"):
            call()


def test_pillow_is_imported_when_an_image_is_read_and_not_before(tmp_path):
    code = "import sys, cycnn.utils, cycnn.datasets; print([m for m in sys.modules if m.startswith('PIL')])"
    assert output_of(code, tmp_path).strip() == "[]"


# --- what is in a folder ------------------------------------------------------------------------


def test_folders_are_classes_and_files_are_sorted(folder, capsys):
    dataset = image_dataset_from_directory(folder, image_size=(4, 6), shuffle=False, batch_size=5)
    assert capsys.readouterr().out == "Found 12 files belonging to 3 classes.\n"
    assert dataset.class_names == ["ant", "bee", "cow"]
    assert dataset.file_paths[4] == str(folder / "bee" / "0.png")
    assert_same(dataset.labels, np.repeat(np.arange(3, dtype="int32"), [4, 3, 5]))
    assert len(dataset) == dataset.num_batches == 3
    assert numbers(dataset) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    x, y = dataset[1]
    assert x.dtype == "float32" and x.shape == (5, 4, 6, 3)
    assert_same(y, np.array([1, 1, 2, 2, 2], "int32"))
    with pytest.raises(IndexError):
        dataset[3]


def test_labels_take_the_form_asked_for(folder):
    assert_same(
        read(folder, label_mode="categorical", shuffle=False).labels,
        np.eye(3, dtype="float32")[[0] * 4 + [1] * 3 + [2] * 5],
    )
    two = read(folder, label_mode="binary", class_names=["cow", "ant"], shuffle=False)
    assert_same(two.labels, np.repeat(np.arange(2, dtype="float32"), [5, 4])[:, None])
    for options in ({"label_mode": None}, {"labels": None}):
        dataset = read(folder, shuffle=False, **options)
        assert dataset.labels is None and dataset.class_names is None
        assert numbers(dataset) == [list(range(12))] and len(dataset[0]) == 1
    given = read(folder, labels=[3, 5] * 6, shuffle=False)
    assert_same(given.labels, np.array([3, 5] * 6, "int32"))
    assert given.class_names == ["3", "5"]


def test_files_are_found_at_any_depth_and_others_ignored(tmp_path):
    for name in ("b/2.PNG", "b/deep/er/1.jpeg", "b/a/9.bmp", "a/x.gif", ".hidden/1.png", "1.png"):
        write(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    dataset = read(tmp_path, shuffle=False)
    assert dataset.class_names == ["a", "b", "empty"]
    names = [os.path.relpath(path, tmp_path).replace(os.sep, "/") for path in dataset.file_paths]
    assert names == ["a/x.gif", "b/2.PNG", "b/a/9.bmp", "b/deep/er/1.jpeg"]
    assert len(read(tmp_path, labels=None).file_paths) == 6


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need rights on Windows")
def test_links_are_followed_if_asked_and_never_in_circles(folder):
    (folder / "ant" / "link.png").symlink_to(folder / "bee" / "0.png")  # a file is a file
    (folder / "ant" / "more").symlink_to(folder / "bee")
    (folder / "ant" / "back").symlink_to(folder / "ant")
    (folder / "dog").symlink_to(folder / "cow")  # a class
    assert len(read(folder).file_paths) == 13 + 5
    assert len(read(folder, follow_links=True).file_paths) == 13 + 5 + 3


# --- order --------------------------------------------------------------------------------------


def epochs(dataset, count=3):
    result = []
    for _ in range(count):
        result.append([number for batch in numbers(dataset) for number in batch])
        dataset.on_epoch_end()
    return result


def test_the_order_follows_from_the_seed_and_the_epoch(folder):
    first, again, other = (epochs(read(folder, seed=seed, batch_size=5)) for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1] != first[2]
    assert all(sorted(order) == list(range(12)) for order in first)
    dataset = read(folder, seed=1, batch_size=5)
    dataset.epoch = 2
    assert epochs(dataset, 1) == [first[2]]
    assert epochs(read(folder, shuffle=False), 2) == [list(range(12))] * 2


def test_without_a_seed_the_order_follows_from_that_of_the_process(folder):
    orders = []
    for seed in (1, 1, 2):
        cycnn.utils.set_random_seed(seed)
        orders.append(epochs(read(folder), 1))
    assert orders[0] == orders[1] != orders[2]


def test_labels_stay_with_their_images(folder):
    dataset = read(folder, seed=3, batch_size=5)
    for x, y in dataset:
        assert_same(y, np.searchsorted([3, 6], x[:, 0, 0, 0]).astype("int32"))


def test_the_number_of_workers_changes_nothing(folder):
    batches = []
    for workers in (1, 2, 5):
        dataset = read(folder, seed=3, batch_size=2)
        dataset.workers = workers
        batches.append([x.tobytes() for x, _ in dataset])
    assert batches[0] == batches[1] == batches[2]
    assert not [thread for thread in threading.enumerate() if "ImageFolder" in thread.name]


def test_subsets_are_parts_of_the_files(folder, capsys):
    options = {"validation_split": 0.25, "seed": 7, "image_size": (4, 6)}
    train, test = image_dataset_from_directory(folder, subset="both", **options)
    assert capsys.readouterr().out.splitlines()[1:] == ["Using 9 files for training.", "Using 3 files for validation."]
    assert not set(train.file_paths) & set(test.file_paths)
    assert len(train.file_paths) == 9 and len(test.file_paths) == 3
    assert read(folder, subset="training", **options).file_paths == train.file_paths
    alone = read(folder, subset="validation", **options)
    assert alone.file_paths == test.file_paths
    before = numbers(alone)
    alone.on_epoch_end()
    assert numbers(alone) == before  # in the order of `labels`, to compare predictions with


def test_a_model_learns_from_a_folder(folder):
    layers = cycnn.layers
    cycnn.utils.set_random_seed(0)
    model = cycnn.Sequential(
        [cycnn.Input((4, 6, 3)), layers.Rescaling(1 / 12), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.compile(cycnn.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    train, test = read(folder, validation_split=0.25, subset="both", seed=1, batch_size=4)
    history = model.fit(train, validation_data=test, epochs=60, verbose=0)
    assert history.history["accuracy"][-1] >= 8 / 9
    assert train.epoch == 60
    assert model.predict(test, verbose=0).shape == (3, 3)
    assert model.evaluate(test, verbose=0)[1] == history.history["val_accuracy"][-1]


# --- pixels -------------------------------------------------------------------------------------


def matrix(inputs, outputs, method):
    first, starts, weights = taps(inputs, outputs, method)
    dense = np.zeros((outputs, inputs))
    for o in range(outputs):
        row = weights[starts[o] : starts[o + 1]]
        dense[o, first[o] : first[o] + len(row)] = row
    return dense


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(5, 7), (3, 4), (11, 2), (1, 1), (20, 30)])
def test_images_are_resized_by_the_interpolation(tmp_path, method, size):
    x = write(tmp_path / "c" / "x.png")
    (batch, _) = read(tmp_path, image_size=size, interpolation=method)[0]
    expected = np.einsum("oh,pw,hwc->opc", matrix(5, size[0], method), matrix(7, size[1], method), x)
    np.testing.assert_allclose(batch[0], expected, atol=1e-3)  # of 255


def test_other_ratios_are_cut_or_padded(tmp_path):
    x = np.zeros((4, 8, 3), "uint8")
    x[:, 2:6] = 200
    write(tmp_path / "c" / "x.png", x)
    cut = read(tmp_path, image_size=(2, 2), crop_to_aspect_ratio=True)[0][0]
    assert_same(cut[0], np.full((2, 2, 3), 200, "float32"))
    padded = read(tmp_path, image_size=(8, 8), pad_to_aspect_ratio=True)[0][0]
    assert_same(padded[0, 2:6], x.astype("float32"))
    assert not padded[0, :2].any() and not padded[0, 6:].any()
    assert read(tmp_path, image_size=8)[0][0].shape == (1, 8, 8, 3)


def test_colours_are_converted(tmp_path):
    rgba = pixels(channels=4)
    write(tmp_path / "c" / "rgba.png", rgba)
    assert_same(read(tmp_path, image_size=(5, 7))[0][0][0], rgba[..., :3].astype("float32"))
    assert_same(read(tmp_path, image_size=(5, 7), color_mode="rgba")[0][0][0], rgba.astype("float32"))
    grey = read(tmp_path, image_size=(5, 7), color_mode="grayscale")[0][0]
    np.testing.assert_allclose(grey[0, ..., 0], rgba[..., :3] @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16"])
def test_every_kind_of_file_becomes_bytes(tmp_path, mode):
    x = np.array([[0, 255, 0, 255]], "uint8")
    image = Image.fromarray(x.astype("uint16") * 256) if mode == "I;16" else Image.fromarray(x).convert(mode)
    (tmp_path / "c").mkdir()
    image.save(tmp_path / "c" / ("x.jpg" if mode == "CMYK" else "x.png"))
    for color_mode, channels in (("rgb", 3), ("grayscale", 1)):
        got = read(tmp_path, image_size=(1, 4), color_mode=color_mode)[0][0]
        np.testing.assert_allclose(got[0], np.repeat(x[0, :, None], channels, 1)[None], atol=3)


def test_an_animation_is_its_first_picture(tmp_path):
    frames = [Image.fromarray(np.full((2, 2), value, "uint8")) for value in (10, 200)]
    (tmp_path / "c").mkdir()
    frames[0].save(tmp_path / "c" / "x.gif", save_all=True, append_images=frames[1:])
    assert_same(read(tmp_path, image_size=(2, 2))[0][0], np.full((1, 2, 2, 3), 10, "float32"))


# --- damage -------------------------------------------------------------------------------------


def damage(folder):
    """Put three damaged files among the images of class "bee"; return their paths and what is said of them."""
    write(folder / "bee" / "cut.jpg", pixels(64, 64), quality=95)
    whole = (folder / "bee" / "cut.jpg").read_bytes()
    (folder / "bee" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "bee" / "text.png").write_text("This is no image.")
    (folder / "bee" / "void.png").write_bytes(b"")
    facts = ["cannot be decoded (", "is no image that Pillow knows", "is no image that Pillow knows"]
    return {str(folder / "bee" / n): fact for n, fact in zip(("cut.jpg", "text.png", "void.png"), facts, strict=True)}


@pytest.mark.parametrize("workers", [1, 2])
def test_damaged_files_are_named(folder, workers):
    for path, fact in damage(folder).items():
        dataset = read(folder, shuffle=False, batch_size=5)
        dataset.workers = workers
        with pytest.raises(ValueError) as caught:
            list(dataset)
        start = (
            f"image_dataset_from_directory: `directory` must hold intact images only. Received: {path!r}, which {fact}"
        )
        assert str(caught.value).startswith(start)
        assert str(caught.value).endswith(". Remove it, or pass skip_corrupt=True.")
        os.remove(path)
    assert len(numbers(read(folder))) == 1


def test_damaged_files_are_left_out_on_request(folder):
    damaged = damage(folder)
    dataset = read(folder, shuffle=False, batch_size=5, skip_corrupt=True)
    assert dataset.skipped == []
    with pytest.warns(UserWarning, match="^image_dataset_from_directory: left out ") as warned:
        batches = list(dataset)
    assert len(warned) == 3 and dataset.skipped == sorted(damaged)
    assert [len(x) for x, _ in batches] == [5, 2, 5]
    assert numbers(dataset) == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9, 10, 11]]  # and warns no more
    assert [y.tolist() for _, y in batches] == [[0, 0, 0, 0, 1], [1, 1], [2] * 5]


def test_a_batch_of_damaged_files_is_passed_over(tmp_path):
    write(tmp_path / "c" / "a.png", np.full((4, 6, 3), 9, "uint8"))
    (tmp_path / "c" / "b.png").write_bytes(b"")
    dataset = read(tmp_path, batch_size=1, shuffle=False, skip_corrupt=True)
    with pytest.warns(UserWarning, match="left out"):
        assert [len(batch.x[0]) for batch in DatasetSource(dataset).batches()] == [1]


def test_a_file_that_went_away_is_named(folder):
    dataset = read(folder, shuffle=False, skip_corrupt=True)
    os.remove(folder / "ant" / "2.png")
    with pytest.raises(FileNotFoundError, match=r"2\.png"):
        list(dataset)


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"directory": 3}, TypeError, "`directory` must be a str or os.PathLike. Received: directory=3."),
        ({"directory": "absent"}, FileNotFoundError,
         "`directory` must be an existing folder. Received: directory='absent'."),
        ({"labels": "guess"}, ValueError, "`labels` must be one of 'inferred'. Received: labels='guess'."),
        ({"labels": [0.5] * 12}, TypeError,
         '`labels` must be "inferred", None or a sequence of ints. Received: labels='),
        ({"labels": [0, 1]}, ValueError, "`labels` must be as many as the files, 12. Received: len(labels)=2."),
        ({"labels": [1, 2] * 6, "label_mode": "categorical"}, ValueError,
         "`labels` must lie between 0 and 1, for there are 2 different ones. "
         "Received: labels.min()=1, labels.max()=2."),
        ({"labels": [0] * 12, "class_names": ["ant"]}, ValueError,
         "`class_names` must be None unless labels are \"inferred\". Received: class_names=['ant']."),
        ({"class_names": ["ant", "elk"]}, ValueError,
         "`class_names` must be different ones of 'ant', 'bee', 'cow'. Received: class_names=['ant', 'elk']."),
        ({"label_mode": "one_hot"}, ValueError,
         "`label_mode` must be one of 'int', 'categorical', 'binary'. Received: label_mode='one_hot'."),
        ({"label_mode": "binary"}, ValueError,
         "`label_mode` must not be \"binary\" unless there are two classes. "
         "Received: class_names=['ant', 'bee', 'cow']."),
        ({"color_mode": "bgr"}, ValueError,
         "`color_mode` must be one of 'grayscale', 'rgb', 'rgba'. Received: color_mode='bgr'."),
        ({"batch_size": None}, TypeError, "`batch_size` must be a positive int. Received: batch_size=None."),
        ({"image_size": (4, 5, 6)}, ValueError,
         "`image_size` must be a positive int or a pair of them. Received: image_size=(4, 5, 6)."),
        ({"interpolation": "area"}, ValueError,
         "`interpolation` must be one of 'bilinear', 'nearest', 'bicubic', 'lanczos3', 'lanczos5'. "
         "Received: interpolation='area'."),
        ({"data_format": "channels_first"}, ValueError,
         "`data_format` must be one of 'channels_last'. Received: data_format='channels_first'."),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, ValueError,
         "`pad_to_aspect_ratio` must be False where `crop_to_aspect_ratio` is True. "
         "Received: pad_to_aspect_ratio=True."),
        ({"subset": "training"}, ValueError,
         "`validation_split` must be given where `subset` is. Received: validation_split=None."),
        ({"validation_split": 0.5}, ValueError,
         "`subset` must be given where `validation_split` is. Received: subset=None."),
        ({"validation_split": 1.0, "subset": "both"}, ValueError,
         "`validation_split` must be a finite number in (0, 1). Received: validation_split=1.0."),
        ({"validation_split": 0.5, "subset": "test"}, ValueError,
         "`subset` must be one of 'training', 'validation', 'both'. Received: subset='test'."),
        ({"validation_split": 0.5, "subset": "training"}, ValueError,
         "`seed` must be given where files are shuffled and split, or the subsets overlap. Received: seed=None."),
        ({"validation_split": 0.01, "subset": "both"}, ValueError,
         "`validation_split` must leave at least one of the 12 files on either side. Received: validation_split=0.01."),
        ({"seed": -1}, ValueError,
         "`seed` must be None or a non-negative int less than 2**64. Received: seed=-1."),
    ],
)  # fmt: skip
def test_a_folder_refuses_what_does_not_fit(folder, options, error, text):
    with pytest.raises(error) as caught:
        read(**{"directory": folder} | options)
    assert str(caught.value).startswith(f"image_dataset_from_directory: {text}")


def test_a_folder_without_images_is_refused(tmp_path):
    for labels in ("inferred", None):
        with pytest.raises(ValueError) as caught:
            read(tmp_path, labels=labels)
        assert str(caught.value) == (
            "image_dataset_from_directory: `directory` must hold files that end in .bmp, .gif, .jpeg, .jpg, .png. "
            f"Received: directory={str(tmp_path)!r}."
        )
