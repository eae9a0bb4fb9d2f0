"""What users of Keras look for in `keras.utils`."""

from .randomness import set_random_seed

__all__ = ["set_random_seed"]
