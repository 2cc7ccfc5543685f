"""Who watches an estate: alarms that act, by their metrics, and rules on what services say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .estate import Estate
from .template import Template
from .values import mapping, mappings, texts

# Services that publish their metrics also without a dimension, summed over all resources; of others such a metric is empty:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
_SUMMED = ("AWS/Lambda", "AWS/Scheduler")
_IN_ALARM_RULE = re.compile(r'\(\s*(?:"([^"]+)"|([^\s()"]+))\s*\)')


@dataclass(frozen=True)
class Watched:
    """A metric that an alarm with an action looks at.

    Parameters
    ----------
    expression
        A query or search of metrics instead of one; namespace and name are empty then.
    """

    template: Template
    alarm: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    expression: str = ""

    def is_of(self, namespace: str, metrics: Iterable[str], dimensions: Mapping[str, str]) -> bool:
        """Whether the alarm sees these metrics of this resource; one without dimensions sees those that are summed."""
        if self.expression:
            return namespace in self.expression and any(metric in self.expression for metric in metrics)
        same = self.namespace == namespace and self.metric in metrics
        return (
            same
            and bool(self.dimensions or namespace in _SUMMED)
            and all(dimensions.get(key, value) == value for key, value in self.dimensions.items())
        )


def alarms_on(
    estate: Estate, template: Template, namespace: str, metrics: Iterable[str], dimensions: Mapping[str, str]
) -> list[str]:
    """Logical ids of alarms with an action on one of these metrics, in the account and region of the template."""
    place = (template.account, template.region)
    wanted = tuple(metrics)
    return [
        watched.alarm
        for watched in _watched(estate)
        if (watched.template.account, watched.template.region) == place and watched.is_of(namespace, wanted, dimensions)
    ]


def rules_on(estate: Estate, template: Template, source: str, kind: str, detail: Mapping[str, str]) -> list[str]:
    """Logical ids of enabled rules with a target on a kind of a service's events whose detail has these values.

    Services tell the default bus alone.
    """
    found = []
    for owner, logical_id, pattern in _rules(estate):
        wanted = pattern.get("detail", {})
        same_place = (owner.account, owner.region) == (template.account, template.region)
        kinds = texts(pattern.get("detail-type", kind))
        if not same_place or source not in texts(pattern.get("source")) or kind not in kinds:
            continue
        if not isinstance(wanted, Mapping):
            continue
        if all(key not in wanted or value in texts(wanted[key]) for key, value in detail.items()):
            found.append(logical_id)
    return found


def rules_on_alarm(estate: Estate, template: Template, logical_id: str) -> list[str]:
    """Logical ids of enabled rules with a target that start when this alarm goes to ALARM."""
    arn = estate.text(template, {"Fn::GetAtt": [logical_id, "Arn"]})
    return [
        rule
        for owner, rule, pattern in _rules(estate)
        if (owner.account, owner.region) == (template.account, template.region)
        and "aws.cloudwatch" in texts(pattern.get("source"))
        and arn in texts(pattern.get("resources"))
        and "ALARM" in texts(mapping(mapping(pattern.get("detail")).get("state")).get("value", "ALARM"))
    ]


@lru_cache(maxsize=2)
def _rules(estate: Estate) -> tuple[tuple[Template, str, Mapping[str, Any]], ...]:
    """Enabled rules of the default bus with a target, and their patterns."""
    found = []
    for template, logical_id, _ in estate.resources("AWS::Events::Rule"):
        properties = template.properties(logical_id)
        pattern = estate.value(template, properties.get("EventPattern"))
        bus = estate.text(template, properties.get("EventBusName", "default")).rpartition("/")[2]
        heard = bus == "default" and properties.get("Targets") and properties.get("State") != "DISABLED"
        if isinstance(pattern, Mapping) and heard:
            found.append((template, logical_id, pattern))
    return tuple(found)


@lru_cache(maxsize=2)
def _watched(estate: Estate) -> tuple[Watched, ...]:
    return tuple(_all(estate))


def _all(estate: Estate) -> Iterator[Watched]:
    watched = {
        name
        for template, logical_id, _ in estate.resources("AWS::CloudWatch::CompositeAlarm")
        if _acts(template.properties(logical_id))
        for name in _alarms_in(estate.text(template, template.properties(logical_id).get("AlarmRule", "")))
    }
    for template, logical_id, _ in estate.resources("AWS::CloudWatch::Alarm"):
        properties = template.properties(logical_id)
        name = estate.name(template, logical_id)
        if not _acts(properties) and name not in watched:
            continue
        queries = properties.get("Metrics")
        for query in queries if isinstance(queries, list) else [{"MetricStat": {"Metric": properties}}]:
            if not isinstance(query, Mapping):
                continue
            metric = mapping(query.get("MetricStat")).get("Metric")
            if isinstance(metric, Mapping):
                namespace, named = (estate.text(template, metric.get(key, "")) for key in ("Namespace", "MetricName"))
                yield Watched(template, logical_id, namespace, named, _dimensions(estate, template, metric))
            elif "Expression" in query:
                yield Watched(template, logical_id, "", "", {}, estate.text(template, query["Expression"]))


def _alarms_in(rule: str) -> Iterator[str]:
    """Names of the alarms in a composite alarm's rule, which gives names or ARNs."""
    for quoted, plain in _IN_ALARM_RULE.findall(rule):
        yield (quoted or plain).rpartition(":alarm:")[2]


def _acts(properties: Mapping[str, Any]) -> bool:
    return bool(properties.get("AlarmActions")) and str(properties.get("ActionsEnabled", True)).lower() != "false"


def _dimensions(estate: Estate, template: Template, metric: Mapping[str, Any]) -> dict[str, str]:
    return {
        estate.text(template, one.get("Name", "")): estate.text(template, one.get("Value", ""))
        for one in mappings(metric.get("Dimensions"))
    }
