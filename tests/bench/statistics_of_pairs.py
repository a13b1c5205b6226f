"""What can be said of noisy pairs: medians, and how far to trust them."""

import random
import statistics


def median_interval(values, draws=2000):
    """The median of VALUES and its 95 % interval, by bootstrap."""
    generator = random.Random(1)
    medians = sorted(
        statistics.median(generator.choices(values, k=len(values))) for _ in range(draws)
    )
    return statistics.median(values), medians[draws // 40], medians[-draws // 40]


def with_interval(values, unit):
    middle, low, high = median_interval(values)
    return f"{middle:.2f} {unit} [{low:.2f}, {high:.2f}]"
