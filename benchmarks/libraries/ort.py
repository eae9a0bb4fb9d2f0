"""ONNX Runtime on the CPU: all graph optimizations, denormals flushed, input and output bound once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.libraries import Weights
from benchmarks.libraries.graph import onnx_model, trained_parameters
from benchmarks.zoo import Network


class Subject:
    """A network in ONNX Runtime."""

    def __init__(self, network: Network, weights: Weights, threads: int) -> None:
        self.network, self.weights, self.parameters = network, weights, trained_parameters(weights)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads, self.options.inter_op_num_threads = threads, 1
        self.options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.options.add_session_config_entry("session.set_denormal_as_zero", "1")

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        """Raise: it only predicts."""
        raise NotImplementedError

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        """Return a prediction."""
        model = onnx_model(self.network, self.weights, len(x))
        session = onnxruntime.InferenceSession(model, self.options, providers=["CPUExecutionProvider"])
        images = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        out = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty((len(x), self.network.classes), np.float32))
        self.bound = images, out  # they share memory with NumPy, and the binding does not keep them
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", images)
        binding.bind_ortvalue_output(session.get_outputs()[0].name, out)

        def predict() -> Any:
            session.run_with_iobinding(binding)
            return out.numpy()

        return predict
