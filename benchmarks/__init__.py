"""Measurements to run by hand: `python -m benchmarks.<subject>`; what they found stands in docs/performance.md."""
