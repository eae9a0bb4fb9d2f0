"""Metrics as functions: what each takes the mean of. Those of losses are the functions of `cycnn.losses`."""

from ..row_functions import RowFunction
from .accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .explained import ConcordanceCorrelation, PearsonCorrelation

binary_accuracy = RowFunction(BinaryAccuracy)
categorical_accuracy = RowFunction(CategoricalAccuracy)
concordance_correlation = RowFunction(ConcordanceCorrelation)
pearson_correlation = RowFunction(PearsonCorrelation)
sparse_categorical_accuracy = RowFunction(SparseCategoricalAccuracy)
sparse_top_k_categorical_accuracy = RowFunction(SparseTopKCategoricalAccuracy)
top_k_categorical_accuracy = RowFunction(TopKCategoricalAccuracy)
