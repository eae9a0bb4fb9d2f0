"""What `cycnn.utils` makes of class numbers, images and folders, beside Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import cycnn
from cycnn import utils
from cycnn.interpolation import METHODS

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[oracle]'")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install '.[oracle]'")
RNG = np.random.default_rng(0)


def same(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("num_classes", [None, 4, 7])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 3), (2, 3, 1), (1, 1), ()])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "bool"])
def test_to_categorical(shape, dtype, num_classes):
    x = RNG.integers(0, 4, shape).astype(dtype)
    same(utils.to_categorical(x, num_classes), keras.utils.to_categorical(x, num_classes))


@pytest.fixture
def pictures(tmp_path):
    """Photographs of 21 x 34 and 40 x 13 smooth pixels, in two classes, without loss."""
    for i in range(13):
        height, width = ((21, 34), (40, 13))[i % 2]
        noise = RNG.normal(size=(height, width, 4)).cumsum(0).cumsum(1)
        array = (128 + 127 * np.tanh(noise / 20)).astype("uint8")
        folder = tmp_path / ("cat", "dog")[i < 5]
        folder.mkdir(exist_ok=True)
        Image.fromarray(array[..., : (3 if i % 3 else 4)].copy()).save(folder / f"{i:02}.png")
    return tmp_path


@pytest.mark.parametrize("data_format", [None, "channels_first", "channels_last"])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_to_images_and_back(channels, scale, data_format):
    shape = (channels, 6, 5) if data_format == "channels_first" else (6, 5, channels)
    x = RNG.uniform(0, 255, shape)
    ours = utils.array_to_img(x, data_format, scale)
    theirs = keras.utils.array_to_img(x, data_format, scale)
    assert ours.mode == theirs.mode
    same(np.asarray(ours), theirs)
    same(utils.img_to_array(ours, data_format), keras.utils.img_to_array(theirs, data_format))


@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_load_img(pictures, color_mode, interpolation, keep_aspect_ratio):
    for path in sorted(pictures.rglob("*.png"))[:3]:
        arguments = str(path), color_mode, (11, 17), interpolation, keep_aspect_ratio
        same(np.asarray(utils.load_img(*arguments)), keras.utils.load_img(*arguments))


def folders(directory, **options):
    """Return what both make of a folder; ours holds the files in the same order, theirs batches shuffled anew."""
    options = {"image_size": (16, 20), "batch_size": 4, "verbose": False} | options
    ours = utils.image_dataset_from_directory(directory, **options)
    theirs = keras.utils.image_dataset_from_directory(directory, **options)
    return ours, theirs


@pytest.mark.parametrize("options", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}], ids=repr)
@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("size", [(16, 20), (50, 31), (7, 7)])
def test_resized_images_of_a_folder(pictures, size, interpolation, options):
    ours, theirs = folders(pictures, shuffle=False, image_size=size, interpolation=interpolation, **options)
    for (x, y), (keras_x, keras_y) in zip(ours, theirs, strict=True):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, np.asarray(keras_x), atol=255e-5)
        same(y, keras_y)


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("label_mode", ["int", "categorical", "binary", None])
def test_labels_and_colours_of_a_folder(pictures, label_mode, color_mode):
    ours, theirs = folders(pictures, shuffle=False, label_mode=label_mode, color_mode=color_mode)
    assert ours.class_names == theirs.class_names
    assert [os.fspath(path) for path in ours.file_paths] == list(theirs.file_paths)
    for batch, keras_batch in zip(ours, theirs, strict=True):
        keras_batch = keras_batch if isinstance(keras_batch, tuple) else (keras_batch,)
        # Pillow and TensorFlow round a grey differently.
        np.testing.assert_allclose(
            batch[0], np.asarray(keras_batch[0]), atol=1.01 if color_mode == "grayscale" else 255e-5
        )
        assert len(batch) == len(keras_batch)
        for y, keras_y in zip(batch[1:], keras_batch[1:], strict=True):
            same(y, keras_y)


@pytest.mark.parametrize("subset", ["training", "validation", "both"])
@pytest.mark.parametrize("labels", ["inferred", [3, 1] * 6 + [3]])
def test_the_same_seed_splits_the_same_files(pictures, labels, subset):
    parts = folders(pictures, labels=labels, seed=11, validation_split=0.3, subset=subset)
    parts = zip(*parts, strict=True) if subset == "both" else [parts]
    for ours, theirs in parts:
        assert ours.file_paths == list(theirs.file_paths)
        assert ours.class_names == theirs.class_names
        assert len(ours) == len(theirs)
        seen = np.concatenate([np.asarray(y) for _, y in theirs])
        assert sorted(ours.labels.tolist()) == sorted(seen.tolist())


class Batches:
    """Mixed into a data set of either library: batches of random numbers, and a record of what is asked for."""

    def __init__(self, **options):
        super().__init__(**options)
        rng = np.random.default_rng(3)
        self.x, self.y = rng.normal(size=(6, 4, 3)).astype("float32"), rng.normal(size=(6, 4, 2)).astype("float32")
        self.events = []

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


def trained(library, dataset, **options):
    model = library.Sequential([library.Input((3,)), library.layers.Dense(2)])
    model.set_weights([np.full((3, 2), 0.5, "float32"), np.zeros(2, "float32")])
    model.compile(library.optimizers.SGD(0.1), "mse")
    history = model.fit(dataset, epochs=3, shuffle=False, verbose=0, **options)
    return model.get_weights(), history.history["loss"]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("steps", [None, 2, 3])
def test_training_on_a_data_set(workers, steps):
    ours = type("Ours", (Batches, utils.PyDataset), {})(workers=workers)
    theirs = type("Theirs", (Batches, keras.utils.PyDataset), {})(workers=workers)
    results = [trained(*pair, steps_per_epoch=steps) for pair in ((cycnn, ours), (keras, theirs))]
    for a, b in zip(*results, strict=True):
        for u, v in zip(a, b, strict=True):
            np.testing.assert_allclose(u, v, rtol=1e-5, atol=1e-6)
    assert ours.events == ["begin", "end"] * 3  # Keras says "end" once more, before it begins


@pytest.mark.parametrize("steps", [2, 3])
def test_training_on_a_generator(steps):
    results = []
    for library in (cycnn, keras):
        data = type("Data", (Batches, object), {})()
        results.append(trained(library, (data[i % 6] for i in range(100)), steps_per_epoch=steps))
    for a, b in zip(*results, strict=True):
        for u, v in zip(a, b, strict=True):
            np.testing.assert_allclose(u, v, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"validation_steps": 1}, {"validation_split": 0.3}], ids=str)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9])
def test_steps_per_epoch_of_arrays(steps, options):
    """An epoch goes on where the one before ended, and ends where the data do."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(26, 3)).astype("float32"), rng.normal(size=(26, 2)).astype("float32")
    if "validation_steps" in options:
        options = options | {"validation_data": (x, y)}
    histories = []
    for library in (cycnn, keras):
        model = library.Sequential([library.Input((3,)), library.layers.Dense(2)])
        model.set_weights([np.full((3, 2), 0.5, "float32"), np.zeros(2, "float32")])
        model.compile(library.optimizers.SGD(0.1), "mse")
        options = {"batch_size": 8, "epochs": 5, "shuffle": False, "verbose": 0} | options
        histories.append(model.fit(x, y, steps_per_epoch=steps, **options).history)
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-5)
