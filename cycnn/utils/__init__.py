"""What users of Keras look for in `keras.utils`."""

from cycnn.randomness import set_random_seed

from .numerical import to_categorical
from .py_dataset import PyDataset

__all__ = ["PyDataset", "set_random_seed", "to_categorical"]
