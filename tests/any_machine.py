"""Hypothesis for machines of any speed: a busy one is no failure."""

from hypothesis import HealthCheck, Phase, settings


def load() -> None:
    """Let the tests of a process take their time; what is generated stays the same."""
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    # `make mutation` runs the tests once for each mutant: few examples, and none is made smaller.
    settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        max_examples=15,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
