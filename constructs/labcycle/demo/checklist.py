"""A list of steps that shows what is under way, what was seen, and how long it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from rich.console import Console

from labcycle.errors import LabcycleError


class StepFailed(LabcycleError):
    """A step did not happen as it should have; the message says what was expected and what was seen."""


@dataclass
class Step:
    """`seconds` is wall-clock time; `evidence` is what was seen, a line each."""

    title: str
    seconds: float = 0.0
    done: bool = False
    evidence: list[str] = field(default_factory=list)

    def saw(self, line: str) -> None:
        self.evidence.append(line)

    def require(self, holds: bool, expected: str) -> None:
        """Go on only where `holds`; else the step has failed, and `expected` says what should have been."""
        if not holds:
            raise StepFailed(expected)


class Checklist:
    """Prints each step as it ends; `as_json` prints one document at the end instead."""

    def __init__(self, total: int, *, as_json: bool = False) -> None:
        self._console = Console(highlight=False, stderr=as_json, soft_wrap=True)
        self._total = total
        self._as_json = as_json
        self.steps: list[Step] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run one step. Whatever it raises is shown as the reason why it failed, and raised again."""
        step = Step(title)
        self.steps.append(step)
        label = f"[dim]{len(self.steps):2}/{self._total}[/]"
        start = time.monotonic()
        try:
            with self._console.status(f"{label} {title} ..."):
                yield step
            step.done = True
        finally:
            step.seconds = round(time.monotonic() - start, 2)
            mark = "[green]done[/]  " if step.done else "[red]FAILED[/]"
            self._console.print(f"{label} {mark} {title} [dim]{step.seconds:.1f} s[/]")
            for line in step.evidence:
                self._console.print(f"              {line}", markup=False, style="dim" if step.done else None)

    def close(self) -> None:
        """The last word: the time in all, or the document."""
        seconds = sum(step.seconds for step in self.steps)
        if self._as_json:
            document = {"seconds": round(seconds, 2), "steps": [asdict(step) for step in self.steps]}
            print(json.dumps(document, indent=2))
        elif len(self.steps) == self._total and all(step.done for step in self.steps):
            self._console.print(f"[bold green]All {self._total} steps happened[/] in {seconds:.0f} s.")
