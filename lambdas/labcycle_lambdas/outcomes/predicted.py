"""How many rows were predicted in each day that is over, counted once out of the profiles."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from labcycle_lambdas.ledger.outcomes import Outcomes
from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.outcomes.taking_in import LOG_IS_WRITTEN


def count_predicted(
    outcomes: Outcomes, profiles: Profiles, model: str, version: int, *, at: datetime, days: int
) -> dict[str, int]:
    """Rows that a version predicted, by UTC day: of the last `days` days that are over for an hour. What is not counted yet is read
    and kept; a day without rows has 0. Raises `Throttled`."""
    known = outcomes.predicted(model, version)
    last = (at.astimezone(UTC) - LOG_IS_WRITTEN).date() - timedelta(days=1)
    wanted = [last - timedelta(days=back) for back in range(days)]
    missing = {day for day in wanted if day.isoformat() not in known}
    if missing:
        rows = dict.fromkeys(missing, 0)
        first = datetime.combine(min(missing), datetime.min.time(), UTC)
        for profile in profiles.each(model, version, first):
            if (day := _day(profile.window_start)) > last:
                break
            if day in rows:
                rows[day] += int(profile.doc["rows"])
        for day, count in rows.items():
            outcomes.keep_predicted(model, version, day.isoformat(), count)
        known |= {day.isoformat(): count for day, count in rows.items()}
    return {day.isoformat(): known[day.isoformat()] for day in sorted(wanted)}


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
