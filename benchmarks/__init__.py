"""Measurements behind every claim of speed; each module is run as `python -m benchmarks.<name>`.

`networks`  training and prediction of seven networks, beside PyTorch, TensorFlow, ONNX Runtime and OpenVINO
`layers`    share of the FMA peak of every convolution in them, by algorithm and instruction set
`memory`    peak memory of a process that trains, beside PyTorch and Keras
`scaling`   time per image over batch, side, channels and threads
`epochs`    the MNIST recipe to its test accuracy, beside PyTorch and Keras
`forkjoin`  cost of dividing work among threads, beside libgomp

`pip install -e ".[bench]"` builds the package in place, where these modules find it, and brings the libraries that are
compared; what is not there is reported and left out.

What they share: `zoo` has the networks as data, `libraries` builds them with each library, `workers` are processes with
one library each, `machine` says what figures were measured on, `timing` and `charts` do what their names say.
"""
