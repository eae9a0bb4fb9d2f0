"""Measurements behind every claim of speed; each module is run as `python -m benchmarks.<name>`.

`layers`    share of the FMA peak of convolutions, per instruction set
`forkjoin`  cost of dividing work among threads, beside libgomp
`training`  a training step of whole networks, beside PyTorch and Keras
`epochs`    the MNIST recipe to its test accuracy, beside PyTorch and Keras
"""
