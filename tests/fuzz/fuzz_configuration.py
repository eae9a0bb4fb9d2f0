"""Coverage-guided fuzzing of harness.TARGETS["configuration"]; arguments are libFuzzer's."""

from harness import fuzz

fuzz("configuration")
