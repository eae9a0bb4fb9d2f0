"""Convolutional networks for CPUs in one small wheel."""
