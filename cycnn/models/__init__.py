"""Models: layers drawn into a network, with their parameters, shapes and summary.

`model`       Model: any network of layers between inputs and outputs
`sequential`  Sequential: layers in a row
`wiring`      how the layers of a network are connected, as plain data, and a network drawn anew from it

How a model is trained and used is in `cycnn.training`, how it is saved in `cycnn.saving`.
"""

from ..saving import load_model, save_model
from .model import Model
from .sequential import Sequential
from .wiring import clone_model, model_from_json

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
