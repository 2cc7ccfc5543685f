"""Hours in which another number of servers is there: two scheduled actions of Application Auto Scaling."""

from __future__ import annotations

from typing import Protocol

from aws_cdk import TimeZone
from aws_cdk import aws_applicationautoscaling as scaling

from labcycle.config import OffHours


class Scaled(Protocol):
    """What has a number that is changed on a schedule."""

    def scale_on_schedule(
        self,
        id: str,
        *,
        schedule: scaling.Schedule,
        min_capacity: int | None = None,
        max_capacity: int | None = None,
        time_zone: TimeZone | None = None,
    ) -> None: ...


def rest_in(scaled: Scaled, off_hours: OffHours, *, meanwhile: int, least: int, most: int) -> None:
    """From the beginning of `off_hours` there are `meanwhile`, no more and no less; from their end `least` to `most` again.

    No more: a policy that follows the load takes no server away while a metric has no data, as it may at night.
    """
    for construct_id, when, low, high in (
        ("OffHoursBegin", off_hours.begin, meanwhile, meanwhile),
        ("OffHoursEnd", off_hours.end, least, most),
    ):
        scaled.scale_on_schedule(
            construct_id,
            schedule=scaling.Schedule.expression(when),
            min_capacity=low,
            max_capacity=high,
            time_zone=TimeZone.of(off_hours.time_zone),
        )
