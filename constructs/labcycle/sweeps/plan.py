"""The file of a sweep, and the points that it means."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from labcycle.config import ConfigError, Problem
from labcycle.config.document import read
from labcycle.config.explain import explain
from labcycle.config.rules import Broken
from labcycle.config.vocabulary import Allowed, Settings

MOST_POINTS = 10_000
_CHARACTERS = 500  # of a parameter's value: https://mlflow.org/docs/latest/tracking.html
Value = str | int | float | bool
Point = dict[str, Value]
_ParameterName = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_Script = Annotated[
    str,
    StringConstraints(pattern=r"^(\.\./)*[A-Za-z0-9_][A-Za-z0-9_./-]*\.py$", max_length=200),
    Allowed("the path of a .py file from the folder of the sweep's file"),
]
_Metric = Annotated[str, StringConstraints(min_length=1, max_length=250), Allowed("the key of a metric")]
_Experiment = Annotated[str, StringConstraints(min_length=1, max_length=500), Allowed("the name of an experiment")]


class Parameter(Settings):
    """What one parameter can be: `choices`, or a range from `low` to `high`, whole numbers where both are."""

    choices: Annotated[tuple[Value, ...] | None, Field(strict=False, min_length=1, max_length=MOST_POINTS)] = None
    """Values, each as likely as another."""
    low: int | float | None = None
    """Where the range begins."""
    high: int | float | None = None
    """Where it ends; part of it."""
    scale: Literal["linear", "log"] = "linear"
    """Whether each number is as likely as another, or each order of magnitude."""
    steps: Annotated[int | None, Field(ge=2, le=MOST_POINTS)] = None
    """Numbers of the range in a grid, evenly on its scale."""

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> Value:
        """The value at `share`, from 0 to below 1, of what it can be."""
        if self.choices is not None:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        assert self.low is not None and self.high is not None
        if not self.is_whole:
            return self._on_scale(self.low, self.high, share)
        # Each whole number has the stretch around it.
        found = self._on_scale(self.low - 0.5 if self.low > 0.5 else self.low, self.high + 0.5, share)
        return max(int(self.low), min(int(self.high), round(found)))

    def grid(self) -> list[Value]:
        """All choices, or `steps` numbers of the range, both ends among them."""
        if self.choices is not None:
            return list(self.choices)
        assert self.low is not None and self.high is not None and self.steps is not None
        found = [self._on_scale(self.low, self.high, step / (self.steps - 1)) for step in range(self.steps)]
        return list(dict.fromkeys(round(one) for one in found)) if self.is_whole else list(found)

    def _on_scale(self, low: float, high: float, share: float) -> float:
        if share in (0, 1):
            return float(high if share else low)
        if self.scale == "log":
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low + share * (high - low)


class Machine(Settings):
    """What each point has while it runs."""

    vcpus: Annotated[int, Field(ge=1, le=128)] = 1
    """Virtual processors (about 0.04 USD an hour each, on spot about a third)."""
    memory_gib: Annotated[int, Field(ge=1, le=1024)] = 2
    """Memory in GiB (about 0.004 USD an hour each)."""
    gpus: Annotated[int, Field(ge=0, le=8)] = 0
    """GPUs (about 1 USD an hour each, machine and all); with any, the jobs go to the queue of machines with GPUs."""


class SweepFile(Settings):
    """A sweep: a script, what its parameters can be, and when it is enough."""

    experiment: _Experiment
    """Experiment whose runs the points are; it is made where it is not there."""
    script: _Script
    """Python script that runs once a point, with `--name value` for each parameter."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1, max_length=100)]
    """What varies, by the name of the parameter."""
    method: Literal["grid", "random", "latin_hypercube"]
    """How points are chosen: all combinations, at random, or at random so that each part of each range is met as often."""
    points: Annotated[int | None, Field(ge=1)] = None
    """How many; not with grid, which counts them itself."""
    seed: int = 0
    """Points are the same for the same seed."""
    concurrency: Annotated[int, Field(ge=1, le=MOST_POINTS)] = 10
    """Points that run at once at most."""
    metric: _Metric
    """Metric by which points are compared."""
    mode: Literal["max", "min"]
    """Whether more of it is better, or less."""
    budget_usd: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    """No point is begun any more once the sweep has cost about this, at prices on demand; absent: no limit."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a point that failed is tried again at once."""
    timeout_minutes: Annotated[int, Field(ge=1, le=14 * 24 * 60)] = 60
    """Longest time of one try of a point."""
    machine: Machine = Machine()
    """What each point has."""

    def all_points(self) -> list[Point]:
        """The points, the same each time."""
        return [dict(zip(self.parameters, values, strict=True)) for values in self._values()]

    def _values(self) -> Iterator[tuple[Value, ...]]:
        ranges = list(self.parameters.values())
        if self.method == "grid":
            yield from product(*(one.grid() for one in ranges))
            return
        assert self.points is not None
        random = Random(self.seed)
        if self.method == "random":
            for _ in range(self.points):
                yield tuple(one.at(random.random()) for one in ranges)
            return
        # A stratum of each range is met once: McKay, Beckman and Conover, Technometrics 21 (1979), 239-245.
        columns = []
        for one in ranges:
            strata = list(range(self.points))
            random.shuffle(strata)
            columns.append([one.at((stratum + random.random()) / self.points) for stratum in strata])
        yield from zip(*columns, strict=True)


def load_sweep(path: Path | str) -> SweepFile:
    """The sweep in a file.

    Raises
    ------
    ConfigError
        With every problem of the file.
    """
    document = read(Path(path))
    problems: list[Problem] = list(document.problems)
    loaded: SweepFile | None = None
    try:
        loaded = SweepFile.model_validate(document.data)
    except ValidationError as error:
        problems += explain(error, SweepFile, document)
    if not problems and loaded is not None:
        problems += [
            document.origin.problem(broken.path, broken.message, on_key=broken.on_key) for broken in _broken(loaded)
        ]
    if problems or loaded is None:
        raise ConfigError(problems)
    return loaded


def _broken(sweep: SweepFile) -> Iterator[Broken]:
    for name, parameter in sweep.parameters.items():
        for broken in _parameter(name, parameter, sweep.method):
            yield Broken(("parameters", name, *broken.path), broken.message, broken.on_key)
            return  # what follows counts with sound ones
    if sweep.method == "grid" and sweep.points is not None:
        yield Broken(
            ("points",), "got points with method: grid; allowed without, since it is all combinations. Remove points"
        )
    elif sweep.method != "grid" and sweep.points is None:
        yield Broken(("method",), f"got {sweep.method} without points; allowed with them. Add points: 100")
    else:
        count = sweep.points or math.prod(len(one.grid()) for one in sweep.parameters.values())
        if count > MOST_POINTS:
            yield Broken(
                ("points",) if sweep.points else ("method",),
                f"got {count:,} points; allowed {MOST_POINTS:,} at most in one sweep. Use fewer, or divide the ranges among several sweeps",
            )


def _parameter(name: str, parameter: Parameter, method: str) -> Iterator[Broken]:
    if not _ParameterName.fullmatch(name):
        yield Broken(
            (), f"got {name}; allowed letters, digits and _ . -, beginning with a letter or _. Rename it", True
        )
    if (parameter.choices is None) == (parameter.low is None and parameter.high is None):
        yield Broken(
            (), "got neither choices nor a range, or both; allowed one of them. Write choices, or low and high", True
        )
    elif parameter.choices is not None:
        for i, value in enumerate(parameter.choices):
            if len(text_of(value)) > _CHARACTERS:
                yield Broken(
                    ("choices", i), f"got a text of {len(text_of(value))} characters; allowed {_CHARACTERS}. Shorten it"
                )
    elif parameter.low is None or parameter.high is None or parameter.low >= parameter.high:
        yield Broken(
            (),
            f"got a range from {parameter.low} to {parameter.high}; allowed from low to a greater high. Write both",
            True,
        )
    elif parameter.scale == "log" and parameter.low <= 0:
        yield Broken(
            ("low",), f"got {parameter.low} with scale: log; allowed more than 0. Raise it, or write scale: linear"
        )
    elif method == "grid" and parameter.steps is None:
        yield Broken((), "got a range without steps in a grid; allowed with them. Add steps, or write choices", True)


def text_of(value: Value) -> str:
    """As the script and the ledger get it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def arguments_of(point: Mapping[str, Value]) -> list[str]:
    """The point as arguments of the script; a value that begins with a dash stays one."""
    return [word for name, value in point.items() for word in _argument(f"--{name}", text_of(value))]


def _argument(option: str, value: str) -> list[str]:
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def variables_of(point: Mapping[str, Value]) -> dict[str, str]:
    """The point as environment of the script: `PARAM_` and the name in capitals."""
    return {"PARAM_" + re.sub(r"[^A-Z0-9_]", "_", name.upper()): text_of(value) for name, value in point.items()}


def as_document(sweep: SweepFile) -> dict[str, Any]:
    return sweep.model_dump(mode="json")
