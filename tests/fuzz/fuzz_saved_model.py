"""Coverage-guided fuzzing of harness.TARGETS["saved_model"]; arguments are libFuzzer's."""

from harness import fuzz

fuzz("saved_model")
