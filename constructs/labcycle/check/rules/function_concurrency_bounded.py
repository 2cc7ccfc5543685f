"""Every function that others call is bounded: by its callers, by a throttle in front, or by reserved concurrency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from labcycle.check.delivery import deliveries, kind_of, named_function
from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "All functions of an account and region share one pool of concurrency: one flood starves everything else."
MEND = (
    "Throttle the API's stage, set MaximumConcurrency of a queue's mapping or MaxConcurrency of a distributed map, or "
    "reserve concurrency: ReservedConcurrentExecutions is a ceiling too."
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    floods: dict[str, list[str]] = defaultdict(list)
    for owner, function, caller in _unbounded(estate):
        if owner == template and "ReservedConcurrentExecutions" not in template.properties(function):
            floods[function].append(caller)
    for function, callers in floods.items():
        names = ", ".join(dict.fromkeys(callers))
        yield Violation(
            function,
            f"nothing bounds how often at once it is called by the {names}",
            "Properties.ReservedConcurrentExecutions",
        )


def _unbounded(estate: Estate) -> Iterator[tuple[Template, str, str]]:
    """Functions with a caller that sends as much at once as it gets."""
    for delivery in deliveries(estate):
        if delivery.way.target == "function" and not delivery.is_bounded and not delivery.is_dead_letters:
            found = named_function(estate, delivery.template, delivery.target)
            if found is not None:
                yield *found, f"{delivery.way.producer} {delivery.logical_id}"
    for template, logical_id, resource in estate.resources("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Url"):
        properties = template.properties(logical_id)
        is_url = resource.get("Type") == "AWS::Lambda::Url"
        found = named_function(estate, template, properties.get("TargetFunctionArn" if is_url else "FunctionName"))
        scaling = properties.get("ScalingConfig")
        is_bounded = isinstance(scaling, Mapping) and "MaximumConcurrency" in scaling
        of_queue = kind_of(estate.text(template, properties.get("EventSourceArn", ""))) == "queue"
        if found is not None and (is_url or (of_queue and not is_bounded)):
            yield *found, f"{'function URL' if is_url else 'event source mapping'} {logical_id}"
