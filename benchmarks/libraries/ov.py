"""OpenVINO on the CPU: the hint for latency, arithmetic in float32 as everywhere here, arrays shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino

from benchmarks.libraries import Weights
from benchmarks.libraries.graph import onnx_model, trained_parameters
from benchmarks.zoo import Network


class Subject:
    """A network in OpenVINO."""

    def __init__(self, network: Network, weights: Weights, threads: int) -> None:
        self.network, self.weights, self.parameters = network, weights, trained_parameters(weights)
        self.settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads),
            "NUM_STREAMS": "1",
            "INFERENCE_PRECISION_HINT": "f32",
            "CPU_DENORMALS_OPTIMIZATION": "YES",
        }

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        """Raise: it only predicts."""
        raise NotImplementedError

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        """Return a prediction."""
        core = openvino.Core()
        model = core.read_model(onnx_model(self.network, self.weights, len(x)))
        request = core.compile_model(model, "CPU", self.settings).create_infer_request()
        images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        self.bound = images  # whose memory the tensor shares, but does not keep
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
        out = request.get_output_tensor().data

        def predict() -> Any:
            request.infer(share_inputs=True, share_outputs=True)
            return out

        return predict
