"""Which size the server of a model should have, from what it used.

Advice is never what a promotion or the team file's rules would refuse: memory is at least what a version as large as the live
one needs while it is switched, and a quarter more than was ever used; processors, tasks and instances are those that there are.
It goes one step at a time, down to half the processors at most, so that the next advice rests on what was measured after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from labcycle.client.prices import PRICES, Prices
from labcycle.config.endpoints import SERVERLESS_MEMORY_MB, endpoint_sizes
from labcycle.config.fargate import task_sizes
from labcycle.config.price_list import HOURS_A_MONTH

ENOUGH_REQUESTS = 100
ENOUGH_HOURS = 24  # from the first window to the last
HEADROOM = 1.25  # times the memory that was used at most
BUSY = 0.7  # of the processors, above which there are too few
AIM = 0.6  # of them, at which Fargate adds tasks
WORTH = 0.1  # of the price; less saves too little for a deployment
SLOWER_MS = 50.0  # no answer may get slower by more, for a smaller processor
MANY_STARTS = 0.05  # of the requests
LEAST_SERVERS = 2  # so that a zone may fail; nothing below is advised
MOST_SERVERS = 50
# A function has a virtual processor for each: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
FUNCTION_MB_A_PROCESSOR = 1769
FUNCTION_MB = (512, 10_240)
_FUNCTION_STEP_MB = 128
_ONE_PROCESSOR_MB = 1792  # in such steps
_MONTH_SECONDS = 30 * 86_400

Verdict = Literal["not_enough", "keep", "change"]


@dataclass(frozen=True)
class BreakEven:
    """From how many requests a month Fargate costs as much as Lambda; `fargate` is the cheapest size for the same traffic."""

    requests_a_month: int
    fargate: dict[str, int]
    lambda_memory_mb: int


@dataclass(frozen=True)
class Advice:
    """`change` are keys of the delivery in the team file, with the advised values; empty unless the verdict is `change`. Prices in
    USD a month, without the API, whose price does not depend on the size."""

    verdict: Verdict
    change: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    requests_a_month: int | None = None
    usd_a_month: float | None = None
    advised_usd_a_month: float | None = None
    break_even: BreakEven | None = None

    def to_doc(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}


@dataclass(frozen=True)
class _Size:
    """A server that is always there."""

    settings: dict[str, Any]
    processors: float
    memory_mb: int
    usd_an_hour: float


@dataclass(frozen=True)
class _Found:
    change: dict[str, Any]
    reasons: list[str]
    usd_a_month: float
    advised_usd_a_month: float
    break_even: BreakEven | None = None


def advise(usage: Mapping[str, Any], prices: Prices = PRICES) -> Advice:
    """From what `GET /models/MODEL/usage` tells."""
    runs_on = usage["runs_on"]
    if runs_on is None:
        return _nothing("no deployed stack tells what the server runs on; deploy the model")
    of_form = {"lambda": _of_function, "fargate": _of_tasks, "real_time": _of_instances, "serverless": _of_serverless}
    form = runs_on.get("mode", runs_on["runtime"])
    if form not in of_form:
        return _nothing(f"there is no advice for {form}")
    if missing := _missing(usage):
        return _nothing(*missing)
    found = of_form[form](usage, runs_on, prices)
    reasons = [*found.reasons, *_of_starts(usage, form)]
    return Advice(
        "change" if found.change else "keep",
        found.change,
        tuple(reasons),
        _requests_a_month(usage),
        round(found.usd_a_month, 2),
        round(found.advised_usd_a_month, 2),
        found.break_even,
    )


def _nothing(*reasons: str) -> Advice:
    return Advice("not_enough", reasons=reasons)


def _missing(usage: Mapping[str, Any]) -> list[str]:
    """What there must be before anything is advised, a sentence each."""
    hours, missing = usage["observed_seconds"] / 3600, []
    if usage["requests"] < ENOUGH_REQUESTS:
        missing.append(f"{usage['requests']} requests of at least {ENOUGH_REQUESTS}")
    if hours < ENOUGH_HOURS:
        missing.append(f"{hours:.1f} hours of at least {ENOUGH_HOURS}, from the first to the last that was measured")
    if usage["mean_ms"] is None:
        missing.append("every request began a server, so that no other was measured")
    if missing and usage["windows_of_other_sizes"]:
        missing.append("what was measured before the last change of the size does not count")
    return missing


def _of_function(usage: Mapping[str, Any], runs_on: Mapping[str, Any], prices: Prices) -> _Found:
    now, floor = runs_on["memory_mb"], _floor_mb(usage, runs_on["memory_mb"])
    seconds, cpu = usage["mean_ms"] / 1000, usage["cpu_ms_a_request"] / 1000
    used = cpu / seconds if seconds else 0.0  # processors, while it answers
    share = used * FUNCTION_MB_A_PROCESSOR / now
    advised, advised_seconds, reasons = now, seconds, []
    if floor > FUNCTION_MB[1]:
        reasons.append(
            f"{_why_floor(usage)}, which is more than the {FUNCTION_MB[1]:,} MB that a function has at most: let it run on Fargate"
        )
    elif floor > now:
        advised = _function_mb(floor)
        reasons.append(f"{_why_floor(usage)}; it has {now:,} MB")
    elif share >= BUSY and now < FUNCTION_MB_A_PROCESSOR:
        advised = _function_mb(max(floor, _ONE_PROCESSOR_MB))
        advised_seconds = seconds * now / _ONE_PROCESSOR_MB
        reasons.append(
            f"it computes {share:.0%} of the time with {now / FUNCTION_MB_A_PROCESSOR:.2f} of a processor: memory brings "
            f"processor, so that with a whole one ({FUNCTION_MB_A_PROCESSOR:,} MB) the mean answer takes about "
            f"{advised_seconds * 1000:.3g} ms in the place of {seconds * 1000:.3g} ms, for about the same price"
        )
    elif share >= BUSY:
        reasons.append(
            f"it computes {share:.0%} of the time: less memory brings less processor, so that it costs time and saves no money; more "
            f"helps only a model that computes with a thread more for each {FUNCTION_MB_A_PROCESSOR:,} MB"
        )
    else:
        least = _function_mb(max(floor, math.ceil(used / BUSY * FUNCTION_MB_A_PROCESSOR)))
        what = f"it computes {share:.0%} of the time, and waits for the rest; {_why_floor(usage)}"
        if least <= now * (1 - WORTH):
            advised = least
            reasons.append(f"{what}: {least:,} MB are enough, {1 - least / now:.0%} less")
        else:
            reasons.append(f"{what}: it has {now:,} MB, and a tenth less would be too little or saves too little")
    requests = _requests_a_month(usage)
    return _Found(
        {"memory_mb": advised} if advised != now else {},
        reasons,
        requests * prices.function_answer(now, seconds),
        requests * prices.function_answer(advised, advised_seconds),
        _break_even(usage, floor, advised, advised_seconds, prices),
    )


def _of_tasks(usage: Mapping[str, Any], runs_on: Mapping[str, Any], prices: Prices) -> _Found:
    found = _of_servers(usage, runs_on, _task_sizes(prices), "tasks", prices.load_balancer_month)
    floor = _floor_mb(usage, runs_on["memory_mb"])
    memory_mb = _function_mb(max(floor, _ONE_PROCESSOR_MB))
    if memory_mb > FUNCTION_MB[1]:
        return found
    return replace(found, break_even=_break_even(usage, floor, memory_mb, usage["mean_ms"] / 1000, prices))


def _of_instances(usage: Mapping[str, Any], runs_on: Mapping[str, Any], prices: Prices) -> _Found:
    sizes = [
        _Size({"instance_type": name}, processors, memory_mb, prices.instance_hour[name])
        for name, processors, memory_mb in endpoint_sizes()
    ]
    return _of_servers(usage, runs_on, sizes, "instances", 0.0)


def _of_serverless(usage: Mapping[str, Any], runs_on: Mapping[str, Any], prices: Prices) -> _Found:
    """AWS does not say how much processor a size has, only that it grows with the memory."""
    now, floor = runs_on["memory_mb"], _floor_mb(usage, runs_on["memory_mb"])
    seconds = usage["mean_ms"] / 1000
    used = usage["cpu_ms_a_request"] / usage["mean_ms"] if usage["mean_ms"] else 0.0
    enough = [memory_mb for memory_mb in SERVERLESS_MEMORY_MB if memory_mb >= floor]
    advised, reasons = now, []
    if not enough:
        reasons.append(
            f"{_why_floor(usage)}, which is more than the {SERVERLESS_MEMORY_MB[-1]:,} MB that a serverless endpoint has at most: "
            "choose the mode real_time"
        )
    elif floor > now:
        advised = enough[0]
        reasons.append(f"{_why_floor(usage)}; it has {now:,} MB")
    elif used >= BUSY:
        reasons.append(
            f"{used:.2f} processors compute while it answers: less memory brings less processor, and costs time"
        )
    else:
        advised = enough[0]
        more = f"{enough[0]:,} MB are enough" if advised != now else "there is no smaller size that holds it"
        reasons.append(f"{used:.2f} processors compute while it answers; {_why_floor(usage)}: {more}")
    requests = _requests_a_month(usage)
    return _Found(
        {"memory_mb": advised} if advised != now else {},
        reasons,
        requests * prices.serverless_answer(now, seconds),
        requests * prices.serverless_answer(advised, seconds),
    )


def _of_servers(
    usage: Mapping[str, Any], runs_on: Mapping[str, Any], sizes: Sequence[_Size], what: str, usd_a_month: float
) -> _Found:
    """Of servers that are always there, between a minimum and a maximum of them."""
    now = next(size for size in sizes if size.settings.items() <= runs_on.items())
    floor = _floor_mb(usage, now.memory_mb)
    a_server = usage["busiest_processors_a_server"]
    share = a_server / now.processors
    minimum, maximum = runs_on[f"minimum_{what}"], runs_on[f"maximum_{what}"]
    fitting = [size for size in sizes if size.memory_mb >= floor and _is_quick(size, now, a_server, usage)]
    best = min(fitting, key=lambda size: (size.usd_an_hour, size.memory_mb), default=None)
    change: dict[str, Any] = {}
    reasons = [f"in the busiest quarter of an hour {share:.0%} of the processors were busy; {_why_floor(usage)}"]
    if best is None:
        reasons.append(f"no size has that much memory and {now.processors:g} processors")
    elif now.memory_mb < floor or best.usd_an_hour <= now.usd_an_hour * (1 - WORTH):
        change |= {key: value for key, value in best.settings.items() if runs_on[key] != value}
        reasons.append(f"{_named(best)} is {'needed' if now.memory_mb < floor else 'enough'}; it has {_named(now)}")
    if share > BUSY and usage["most_servers_at_once"] >= maximum:
        most = min(MOST_SERVERS, _at_least(maximum * share / AIM))
        if most > maximum:
            change[f"maximum_{what}"] = most
            reasons.append(f"all {maximum} {what} were busy: with up to {most} each has {AIM:.0%} to do")
        else:
            reasons.append(f"all {maximum} {what} were busy, and there can be no more: choose a larger size")
    elif not change:
        needed = max(LEAST_SERVERS, _at_least(usage["busiest_processors"] / (AIM * now.processors)))
        if needed < minimum:
            change[f"minimum_{what}"] = needed
            reasons.append(f"{needed} {what} do what the busiest quarter of an hour took; there are {minimum} at least")
    after = best if best and best.settings.items() <= {**runs_on, **change}.items() else now
    least = change.get(f"minimum_{what}", minimum)
    return _Found(
        change,
        reasons,
        usd_a_month + HOURS_A_MONTH * minimum * now.usd_an_hour,
        usd_a_month + HOURS_A_MONTH * least * after.usd_an_hour,
    )


def _is_quick(size: _Size, now: _Size, a_server: float, usage: Mapping[str, Any]) -> bool:
    """Whether a size has processor enough: as much as now, or half of it where that is still enough and slows no answer much."""
    if size.processors >= now.processors:
        return True
    slower_ms = usage["cpu_ms_a_request"] * (1 / min(1, size.processors) - 1 / min(1, now.processors))
    return size.processors >= now.processors / 2 and a_server <= AIM * size.processors and slower_ms <= SLOWER_MS


def _floor_mb(usage: Mapping[str, Any], now: int) -> int:
    """The least memory to be advised; what there is where nobody measured it."""
    peak = usage["peak_memory_mb"]
    measured = math.ceil(peak * HEADROOM) if peak else now
    return max(measured, usage["needed_mb"] or 0)


def _why_floor(usage: Mapping[str, Any]) -> str:
    peak, needed = usage["peak_memory_mb"], usage["needed_mb"]
    used = (
        f"it used up to {peak:,} MB, {math.ceil(peak * HEADROOM):,} MB with room" if peak else "its memory is not known"
    )
    return f"{used}, and a promotion needs {needed:,} MB" if needed else used


def _of_starts(usage: Mapping[str, Any], form: str) -> list[str]:
    share = usage["starts"] / usage["requests"]
    if form not in ("lambda", "serverless") or share < MANY_STARTS:
        return []
    return [
        f"{usage['starts']:,} of {usage['requests']:,} requests waited for a start; servers that are always there have none"
    ]


def _break_even(
    usage: Mapping[str, Any], floor: int, memory_mb: int, seconds: float, prices: Prices
) -> BreakEven | None:
    """Between a function with this memory, and two tasks or more that do what the busiest quarter of an hour took."""
    one = _Size({}, 1.0, 0, 0.0)
    a_task = usage["busiest_processors"] / LEAST_SERVERS
    quick = [size for size in _task_sizes(prices) if size.memory_mb >= floor and _is_quick(size, one, a_task, usage)]
    if not quick or not seconds:
        return None
    size = min(quick, key=lambda size: (size.usd_an_hour, size.memory_mb))
    tasks = max(LEAST_SERVERS, _at_least(usage["busiest_processors"] / (AIM * size.processors)))
    month = prices.load_balancer_month + HOURS_A_MONTH * tasks * size.usd_an_hour
    requests = math.ceil(month / prices.function_answer(memory_mb, seconds))
    return BreakEven(requests, {**size.settings, "minimum_tasks": tasks}, memory_mb)


def _task_sizes(prices: Prices) -> list[_Size]:
    return [
        _Size({"cpu": cpu, "memory_mb": memory}, cpu / 1024, memory, prices.fargate_hour(cpu, memory))
        for cpu, memory in task_sizes()
    ]


def _named(size: _Size) -> str:
    return ", ".join(f"{key} {value}" for key, value in size.settings.items())


def _function_mb(memory_mb: int) -> int:
    """In steps, no less than the least one."""
    return max(FUNCTION_MB[0], -(-memory_mb // _FUNCTION_STEP_MB) * _FUNCTION_STEP_MB)


def _at_least(number: float) -> int:
    """The next whole number; 9.000000001 is 9."""
    return math.ceil(round(number, 6))


def _requests_a_month(usage: Mapping[str, Any]) -> int:
    return round(usage["requests"] / usage["observed_seconds"] * _MONTH_SECONDS) if usage["observed_seconds"] else 0
