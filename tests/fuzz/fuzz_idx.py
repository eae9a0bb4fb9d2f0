"""Coverage-guided fuzzing of harness.TARGETS["idx"]; arguments are libFuzzer's."""

from harness import fuzz

fuzz("idx")
