"""Runs scenarios on both servers, and finds the shortest reproduction of what they do not agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.differential.comparison import comparable, difference
from tests.differential.differences import DIFFERENCES, PARTS, Exchange
from tests.differential.sides import Answer, Pair
from tests.differential.steps import Made, Step


@dataclass
class Surprise:
    """A difference that nobody wrote down. `steps` reproduce it."""

    exchange: Exchange
    where: str
    steps: Sequence[Step]
    scenario: str = ""

    @property
    def parts(self) -> bool:
        """Whether the servers may hold different records from here on."""
        reads = self.exchange.step.method == "GET" or self.exchange.step.endpoint.endswith(("/search", "-versions"))
        return self.exchange.ours.status == 200 and not reads

    @property
    def signature(self) -> tuple[str, ...]:
        one, other = self.exchange.stock, self.exchange.ours
        place = "".join(c for c in self.where.partition(":")[0] if not c.isdigit())
        if one.status != 200 or other.status != 200:
            place = ""
        classes = (
            str(self.exchange.comparable_stock.get("message")),
            str(self.exchange.comparable_ours.get("message")),
        )
        return (self.exchange.step.endpoint, str(one.status), one.code, str(other.status), other.code, *classes, place)


@dataclass
class Tally:
    """What a run of scenarios saw."""

    scenarios: int = 0
    malformed: int = 0
    endpoints: Counter[str] = field(default_factory=Counter)
    documented: Counter[str] = field(default_factory=Counter)
    surprises: list[Surprise] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.endpoints.total()


class Trial:
    """One scenario on both servers, from nothing."""

    def __init__(self, pair: Pair, tally: Tally) -> None:
        self._pair, self._tally = pair, tally
        self._stock, self._ours = Made(), Made()
        pair.empty()

    def run(self, steps: Sequence[Step], *, dump: bool = True) -> list[Surprise]:
        """The surprises. After one that leaves the two servers with different records, nothing more is asked."""
        found: list[Surprise] = []
        for index, step in enumerate(steps):
            if surprise := self._take(step):
                surprise.steps = steps[: index + 1]
                found.append(surprise)
                if surprise.parts:
                    return found
        if dump and not found:
            for step in self._dump(len(steps) + 1000):
                if surprise := self._take(step, counts=False):
                    surprise.steps = [*steps, step]
                    found.append(surprise)
        return found

    def _take(self, step: Step, *, counts: bool = True) -> Surprise | None:
        if step.file is not None:
            for made in (self._stock, self._ours):
                self._pair.put(made.filled(step.file))
            return None
        if not (self._stock.has_tokens(step) and self._ours.has_tokens(step)):
            return None
        exchange = self.exchange(step)
        if counts:
            self._tally.endpoints[step.endpoint] += 1
            self._tally.malformed += step.malformed
        found = self._judge(exchange)
        if exchange.ours.status != 200 and self._pair.stock.put_back():  # it stored what ours refused
            self._tally.documented[PARTS] += exchange.stock.status != 200
        if exchange.ours.status == 200 == exchange.stock.status:
            self._stock.note(step, exchange.stock)
            self._ours.note(step, exchange.ours)
        return found

    def _judge(self, exchange: Exchange) -> Surprise | None:
        where = difference(exchange.comparable_stock, exchange.comparable_ours)
        for known in DIFFERENCES if where else ():
            if (forgiven := known.forgiven(exchange)) is not None:
                self._tally.documented[known.name] += 1
                exchange = forgiven
                where = difference(exchange.comparable_stock, exchange.comparable_ours)
                if not where:
                    break
        return Surprise(exchange, where, [exchange.step]) if where else None

    def exchange(self, step: Step) -> Exchange:
        """Ask both."""
        self._pair.stock.keep()
        asked = step
        for known in DIFFERENCES:
            if (changed := known.asked(asked)) is not asked:
                self._tally.documented[known.name] += changed != asked
                asked = changed
        stock = self._pair.stock.ask(*self._stock.request(asked))
        ours = self._pair.ours.ask(*self._ours.request(step))
        ids = {**self._ids(), **self._ids_of(step, stock, ours)}
        in_order = step.endpoint.startswith("GET metrics/")
        return Exchange(
            step,
            stock,
            ours,
            comparable(stock, experiments={}, in_order=in_order),
            comparable(ours, experiments=ids, in_order=in_order),
        )

    def _ids(self) -> dict[str, str]:
        """Our id of an experiment: the stock server's."""
        stock = self._stock.experiments()
        return {ours: stock[number] for number, ours in self._ours.experiments().items() if number in stock}

    def _ids_of(self, step: Step, stock: Answer, ours: Answer) -> dict[str, str]:
        if stock.status == ours.status == 200 and step.endpoint == "POST experiments/create":
            return {ours.doc["experiment_id"]: stock.doc["experiment_id"]}
        return {}

    def _dump(self, number: int) -> Iterator[Step]:
        """All that both know, asked for by what the stock server says there is."""
        ids = {stock: f"@exp#{number}" for number, stock in self._stock.experiments().items()}

        def step(endpoint: str, **values: Any) -> Step:
            nonlocal number
            number += 1
            return Step(number, endpoint, "/api/2.0/mlflow/" + endpoint.partition(" ")[2], values)

        def seen(asked: Step) -> Any:
            return self._pair.stock.ask(*self._stock.request(asked)).doc or {}

        everything = step("POST experiments/search", max_results=1000, view_type="ALL")
        yield everything
        experiments = [ids.get(e["experiment_id"], "0") for e in seen(everything).get("experiments", [])]
        found = step("POST runs/search", experiment_ids=experiments, max_results=1000, run_view_type="ALL")
        yield found
        for run in seen(found).get("runs", []):
            run_id = run["info"]["run_id"]
            yield step("GET runs/get", run_id=run_id)
            for metric in run["data"].get("metrics", []):
                yield step("GET metrics/get-history", run_id=run_id, metric_key=metric["key"])
        yield step("POST logged-models/search", experiment_ids=experiments, max_results=50)
        for prompts in ("", "tags.`mlflow.prompt.is_prompt` = 'true'"):
            found = step("GET registered-models/search", max_results=1000, filter=prompts)
            yield found
            for model in seen(found).get("registered_models", []):
                yield step("GET registered-models/get", name=model["name"])
        found = step("GET model-versions/search", max_results=1000)
        yield found
        for version in seen(found).get("model_versions", []):
            which = {"name": version["name"], "version": version["version"]}
            yield step("GET model-versions/get", **which)
            yield step("GET model-versions/get-download-uri", **which)


def shortest(pair: Pair, surprise: Surprise) -> Surprise:
    """The same surprise with as few steps as can be found by leaving steps out."""
    best = surprise
    size = max(1, len(best.steps) // 2)
    tries = 0
    while size and tries < 60:
        start = 0
        while start < len(best.steps) - 1 and tries < 60:
            fewer = [*best.steps[:start], *best.steps[start + size :]]
            tries += 1
            found = [s for s in Trial(pair, Tally()).run(fewer, dump=False) if s.signature == surprise.signature]
            if found:
                best = replace(found[0], scenario=surprise.scenario)
            else:
                start += size
        size //= 2
    return best
