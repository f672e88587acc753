"""What holds for every test: a busy machine fails none that Hypothesis draws. How long an example took is nobody's claim here."""

from hypothesis import HealthCheck, settings

# Made from the profile in force, so that where `CI` is set the examples are the same ones in every run.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
