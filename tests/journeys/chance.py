"""Seeded chance: each journey and each month draws from a stream of its own.

A stream is named by the seed and by what it is for, so one journey's luck does not depend on how
many others there are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")


class Chance:
    def __init__(self, *name: object) -> None:
        self._random = random.Random(":".join(map(str, name)))

    def odds(self, likely: float) -> bool:
        return self._random.random() < likely

    def one_of(self, things: Sequence[T]) -> T:
        return self._random.choice(things)

    def by_weight(self, weights: dict[T, float]) -> T:
        return self._random.choices([*weights], [*weights.values()])[0]

    def between(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def minutes(self, low: float, high: float) -> timedelta:
        return timedelta(minutes=self.between(low, high))

    def hours(self, low: float, high: float) -> timedelta:
        return timedelta(hours=self.between(low, high))

    def days(self, low: float, high: float) -> timedelta:
        return timedelta(days=self.between(low, high))
