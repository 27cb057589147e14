"""Benchmarks: other servers beside ours, the same tools, processor time per call. What must never stand here: code."""
