"""Tests of Spire; they mirror the package one to one.

Hypothesis takes the same examples in every run, however long one takes: a test's result depends on the code alone.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "spire", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("spire")
