"""A resource of a template, with its values as they will be in AWS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.references import referenced
from labcycle.check.template import Template
from labcycle.check.values import listed, mapping, mappings

from .prices import NoPrice, Prices
from .schedules import mean


@dataclass(frozen=True)
class Resource:
    """A resource, what stands around it, and what is charged there."""

    estate: Estate
    template: Template
    logical_id: str
    prices: Prices

    @property
    def type(self) -> str:
        return str(self.template.resource(self.logical_id).get("Type", ""))

    def get(self, *path: str) -> Any:
        """A property; None where there is none."""
        found: Any = dict(self.template.properties(self.logical_id))
        for part in path:
            found = mapping(found).get(part)
        return self.estate.value(self.template, found)

    def raw(self, name: str) -> Any:
        """A property as it is written, with its references."""
        return self.template.properties(self.logical_id).get(name)

    def text(self, *path: str) -> str:
        found = self.get(*path)
        return "" if found is None else self.estate.text(self.template, found)

    def number(self, *path: str, otherwise: float | None = None) -> float:
        """A number, whether it is written as one or as a text.

        Parameters
        ----------
        otherwise
            What it is where nothing is said; absent: something must be.

        Raises
        ------
        NoPrice
            If it is missing, or something else.
        """
        found = self.get(*path)
        if found is None and otherwise is not None:
            return otherwise
        try:
            return float(found)
        except (TypeError, ValueError):
            told = "missing" if found is None else f"{found!r}, which is known in AWS alone"
            raise NoPrice(f"{'.'.join(path)} is {told}") from None

    def beside(self, *types: str) -> Iterator[Resource]:
        """All resources of these types in the same template."""
        for logical_id, _ in self.template.resources(*types):
            yield self.at(self.template, logical_id)

    def referred(self, name: str) -> Iterator[Resource]:
        """The resources of the template that a property refers to."""
        for logical_id in sorted(referenced(self.raw(name))):
            if self.template.resource(logical_id):
                yield self.at(self.template, logical_id)

    def at(self, template: Template, logical_id: str) -> Resource:
        return Resource(self.estate, template, logical_id, self.prices)

    def always_there(self, otherwise: float) -> float:
        """How many there are of it in the mean while nobody asks: the least that its scaling allows, hours of the week considered.

        Parameters
        ----------
        otherwise
            Where nothing scales it.

        Raises
        ------
        NoPrice
            If it is scaled by a schedule that cannot be followed.
        """
        for target in self.beside("AWS::ApplicationAutoScaling::ScalableTarget"):
            if self.logical_id not in referenced(target.raw("ResourceId")):
                continue
            least = target.number("MinCapacity")
            changes = [
                (str(action.get("Schedule")), float(mapping(action.get("ScalableTargetAction"))["MinCapacity"]))
                for action in mappings(listed(target.get("ScheduledActions")))
                if "MinCapacity" in mapping(action.get("ScalableTargetAction"))
            ]
            found = mean(least, changes)
            if found is None:
                raise NoPrice("it is scaled by a schedule that is no cron")
            return found
        return otherwise
