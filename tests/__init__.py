"""
The tests. Property tests try the same examples each time, take as long as they need, and leave no database behind.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
