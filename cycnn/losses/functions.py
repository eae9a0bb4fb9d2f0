"""Losses as functions: what each says of every row."""

from ..row_functions import RowFunction
from .crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from .margins import CategoricalHinge, Hinge, SquaredHinge
from .overlap import Dice, Tversky
from .regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)

binary_crossentropy = RowFunction(BinaryCrossentropy)
binary_focal_crossentropy = RowFunction(BinaryFocalCrossentropy)
categorical_crossentropy = RowFunction(CategoricalCrossentropy)
categorical_focal_crossentropy = RowFunction(CategoricalFocalCrossentropy)
categorical_hinge = RowFunction(CategoricalHinge)
cosine_similarity = RowFunction(CosineSimilarity)
dice = RowFunction(Dice)
hinge = RowFunction(Hinge)
huber = RowFunction(Huber)
kl_divergence = RowFunction(KLDivergence)
log_cosh = RowFunction(LogCosh)
mean_absolute_error = RowFunction(MeanAbsoluteError)
mean_absolute_percentage_error = RowFunction(MeanAbsolutePercentageError)
mean_squared_error = RowFunction(MeanSquaredError)
mean_squared_logarithmic_error = RowFunction(MeanSquaredLogarithmicError)
poisson = RowFunction(Poisson)
sparse_categorical_crossentropy = RowFunction(SparseCategoricalCrossentropy)
squared_hinge = RowFunction(SquaredHinge)
tversky = RowFunction(Tversky)
