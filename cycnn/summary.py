"""The table that `Sequential.summary` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .shapes import Shape

if TYPE_CHECKING:
    from .layers import Layer
    from .models import Model
    from .tensor import Call

HEADERS = ("Layer (type)", "Output shape", "Parameters", "Multiply-adds")


def lines(model: Model, batch_size: int, expand_nested: bool = False, show_trainable: bool = False) -> list[str]:
    """Return the table of a model's layers, totals below it."""
    rows = _rows(model, expand_nested)
    headers: tuple[str, ...] = HEADERS
    if show_trainable:
        headers = (*HEADERS, "Trained")
    else:
        rows = [row[: len(HEADERS)] for row in rows]
    result = [f"Model: {model.name}", *table(headers, rows, words=2)]
    if not model.drawn_calls:
        return [*result, "The model is built when it sees its first data, or by build(input_shape)."]
    total = model.multiply_adds(model.input_shape)
    count = model.count_params()
    trainable = sum(variable.value.size for variable in model.trainable_variables)
    itemsize = 8 if model.dtype == "float64" else 4
    result += [
        f"Parameters: {count:,} ({_bytes(count * itemsize)}), {trainable:,} trainable",
        f"Multiply-adds: {total:,} for one row of data",
    ]
    memory = f"Memory: {_bytes(model.memory('predict', batch_size))} to predict"
    if model.compiled and model.loss is not None:
        memory += f", {_bytes(model.memory('train', batch_size))} to train"
    return [*result, f"{memory} a batch of {batch_size}, beside parameters and data"]


def _rows(model: Model, expand_nested: bool, indent: str = "") -> list[tuple[str, ...]]:
    """Return a row of the table for each layer, and for those of the models among them, indented."""
    rows: list[tuple[str, ...]] = []
    uses: dict[Layer, list[Call]] = {}
    for call in model.drawn_calls:
        uses.setdefault(call.layer, []).append(call)
    for layer in model.layers:
        shape, parameters, multiply_adds, trained = "?", "not built", "?", "?"
        if layer in uses:
            work = sum(layer.multiply_adds(call.input_shapes) for call in uses[layer])
            shape = ", ".join(_shape(tensor.shape) for tensor in uses[layer][-1].outputs)
            parameters, multiply_adds = f"{layer.count_params():,}", f"{work:,}"
            trained = f"{sum(variable.value.size for variable in layer.trainable_variables):,}"
        rows.append((f"{indent}{layer.name} ({type(layer).__name__})", shape, parameters, multiply_adds, trained))
        if expand_nested and hasattr(layer, "drawn_calls"):
            rows += _rows(cast("Model", layer), True, f"{indent}  ")
    return rows


def table(headers: tuple[str, ...], rows: list[tuple[str, ...]], words: int) -> list[str]:
    """Return rows under headers: the first `words` columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        left = (cell.ljust(width) for cell, width in zip(cells[:words], widths[:words], strict=True))
        right = (cell.rjust(width) for cell, width in zip(cells[words:], widths[words:], strict=True))
        return "  ".join((*left, *right)).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [rule, line(headers), rule, *map(line, rows), rule]


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


def _bytes(count: int) -> str:
    """Return a number of bytes in the unit that keeps it short."""
    if count < 1000:
        return f"{count} bytes"
    power = min((len(str(count)) - 1) // 3, 3)
    return f"{count / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"
