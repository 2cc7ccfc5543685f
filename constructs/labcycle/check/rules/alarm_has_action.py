"""Every alarm tells somebody, or starts what does."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.watch import rules_on_alarm

WHY = "An alarm without an action changes its colour in a console that nobody looks at."
MEND = "Name a topic in AlarmActions, or have a rule of EventBridge start on the alarm's change of state to ALARM."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        if not template.properties(logical_id).get("AlarmActions") and not rules_on_alarm(estate, template, logical_id):
            yield Violation(logical_id, "got no action, and no rule starts on it", "Properties.AlarmActions")
