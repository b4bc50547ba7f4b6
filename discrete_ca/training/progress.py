"""Where a run stands in its schedule: which phase, how many of its steps, what rate that means."""

from __future__ import annotations

import math
from typing import Any

from discrete_ca.objectives import Phase, Schedule
from discrete_ca.training.config import TrainConfig

_MEASURED = 0.1  # share of a phase's minutes after which its speed is taken as known


class Progress:
    """Counts the steps of each phase.

    A budget in minutes becomes a number of steps, phase by phase, once a tenth of the phase's time
    has shown its speed. The number is saved, so that a run that was cut off ends where it would
    have.

    Args:
        schedule: the phases.
        config: the budget and the learning rates.

    Example:
        >>> from discrete_ca.objectives import Denoising
        >>> progress = Progress(Schedule.of(Denoising()), TrainConfig(steps=2))
        >>> progress.advance(0.1); progress.finished
        False
        >>> progress.advance(0.1); progress.finished
        True
    """

    def __init__(self, schedule: Schedule, config: TrainConfig) -> None:
        self.schedule, self.config = schedule, config
        self._ends = [0.0, *schedule.boundaries()]
        self.phase, self.done, self.seconds = 0, 0, 0.0
        count = len(schedule.phases)
        self.steps: list[int | None] = [None] * count
        if config.steps is not None:
            ends = [round(end * config.steps) for end in self._ends]
            self.steps = [ends[i + 1] - ends[i] for i in range(count)]
        self._move_on()

    @property
    def current(self) -> Phase:
        """The phase that the next step belongs to."""
        return self.schedule.phases[self.phase]

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        return self.phase == len(self.steps) - 1 and self._spent()

    def _spent(self) -> bool:
        steps = self.steps[self.phase]
        return steps is not None and self.done >= steps

    def _move_on(self) -> None:
        while self._spent() and self.phase < len(self.steps) - 1:
            self.phase, self.done, self.seconds = self.phase + 1, 0, 0.0

    def advance(self, seconds: float) -> None:
        """Count a step that took so many seconds."""
        self.done += 1
        self.seconds += seconds
        if self.steps[self.phase] is None:
            assert self.config.minutes is not None
            whole = 60 * self.config.minutes * self.current.share
            if self.seconds >= _MEASURED * whole:
                found = round(self.done * whole / self.seconds)
                self.steps[self.phase] = max(self.done, found)
        self._move_on()

    def place(self) -> float:
        """Share of the schedule done, in [0, 1]; while a speed is measured, 0 of its phase."""
        steps = self.steps[self.phase]
        inner = min(self.done / steps, 1.0) if steps else 0.0
        return self._ends[self.phase] + inner * self.current.share

    def stretch(self) -> tuple[float, float]:
        """Where the run of phases that train the same part begins and ends, in [0, 1]."""
        phases = self.schedule.phases
        first = last = self.phase
        while first > 0 and phases[first - 1].train == self.current.train:
            first -= 1
        while last + 1 < len(phases) and phases[last + 1].train == self.current.train:
            last += 1
        return self._ends[first], self._ends[last + 1]

    def learning_rate(self, part_steps: int) -> float:
        """Warm-up by the steps that the part has had, cosine decay over its stretch."""
        config = self.config
        begin, end = self.stretch()
        inner = min(max((self.place() - begin) / (end - begin), 0.0), 1.0)
        floor = config.final_learning_rate
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * inner))
        warm = min(1.0, (part_steps + 1) / (config.warmup + 1))
        return config.learning_rate * self.current.learning_rate * cosine * warm

    def state(self) -> dict[str, Any]:
        """Plain numbers to go on from."""
        return {
            "phase": self.phase, "done": self.done, "seconds": self.seconds, "steps": self.steps,
            "minutes": self.config.minutes,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`, in the phase that it was in, with the config's budget.

        Phases that are done stay as long as they were. With another number of steps the others end
        where they would have from the start; with other minutes they change in proportion. Call
        `settle` when the phase's part is as it was: the new budget may have no steps left for it.

        Raises:
            ValueError: for a state of another schedule.
        """
        steps = list(state["steps"])
        phase, done = int(state["phase"]), int(state["done"])
        if len(steps) != len(self.steps) or not 0 <= phase < len(steps) or done < 0:
            raise ValueError(f"phase {phase} of {len(steps)}; allowed: {len(self.steps)} phases")
        self.phase, self.done, self.seconds = phase, done, float(state["seconds"])
        before = [int(n) for n in steps[:phase]]
        if self.config.steps is not None:
            ends = [round(end * self.config.steps) for end in self._ends[1:]]
            reached = sum(before)
            for i in range(phase, len(steps)):
                count = max(ends[i] - reached, done if i == phase else 0)
                self.steps[i], reached = count, reached + count
        elif state.get("minutes") is None:  # a budget in steps until now: speeds are not known
            self.steps[phase:] = [None] * (len(steps) - phase)
        else:
            assert self.config.minutes is not None
            grown = self.config.minutes / state["minutes"]
            self.steps[phase:] = [None if n is None else round(n * grown) for n in steps[phase:]]
        self.steps[:phase] = before

    def settle(self) -> None:
        """Pass over phases that have no steps left."""
        self._move_on()
