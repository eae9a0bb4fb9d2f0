"""Coverage-guided fuzzing of harness.TARGETS["cifar"]; arguments are libFuzzer's."""

from harness import fuzz

fuzz("cifar")
