"""What users of Keras look for in `keras.utils`."""

from cycnn.batches.py_dataset import PyDataset
from cycnn.profiling import profile
from cycnn.randomness import set_random_seed

from .image import array_to_img, img_to_array, load_img, save_img
from .image_dataset import image_dataset_from_directory
from .numerical import to_categorical
from .threadpools import register_with_threadpoolctl

__all__ = [
    "PyDataset",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "profile",
    "register_with_threadpoolctl",
    "save_img",
    "set_random_seed",
    "to_categorical",
]
