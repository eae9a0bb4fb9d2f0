"""The frameworks that oracle tests compare with: imported by the first test that asks for them."""

import os

import pytest


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason='PyTorch is not installed: pip install ".[oracle]"')


@pytest.fixture(scope="session")
def tensorflow():
    # TensorFlow reads this while it is imported: below errors it has a dozen lines to say about the machine.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return pytest.importorskip("tensorflow", reason='TensorFlow is not installed: pip install ".[oracle]"')


@pytest.fixture(scope="session")
def keras(tensorflow):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    module = pytest.importorskip("keras", minversion="3", reason='Keras 3 is not installed: pip install ".[oracle]"')
    if module.config.backend() != "tensorflow":
        pytest.skip(f"Keras was imported before, with {module.config.backend()} and not TensorFlow below it")
    # A user's own configuration file may say otherwise.
    module.config.set_image_data_format("channels_last")
    module.config.set_floatx("float32")
    module.config.set_epsilon(1e-7)
    return module
