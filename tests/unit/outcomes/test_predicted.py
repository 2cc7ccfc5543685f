"""Rows that were predicted, by day."""

from __future__ import annotations

from datetime import UTC, datetime

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.outcomes.predicted import count_predicted
from tests.unit.outcomes.place import Place


def test_days_that_are_over_are_counted_once(place: Place) -> None:
    profiles = Profiles(place.table)

    def write(number: int, at: datetime, rows: int) -> None:
        profiles.write(place.model, 2, "a1b2", number, at, {"rows": rows})

    write(1, datetime(2026, 3, 1, 0, 0, tzinfo=UTC), 5)
    write(2, datetime(2026, 3, 1, 23, 59, tzinfo=UTC), 7)
    write(3, datetime(2026, 3, 3, 12, tzinfo=UTC), 11)
    write(4, datetime(2026, 3, 4, 0, 10, tzinfo=UTC), 13)

    def counted(hour: int, minute: int = 0) -> dict[str, int]:
        at = datetime(2026, 3, 4, hour, minute, tzinfo=UTC)
        return count_predicted(place.outcomes, profiles, place.model, 2, at=at, days=3)

    assert counted(0, 30) == {"2026-02-28": 0, "2026-03-01": 12, "2026-03-02": 0}, "the last hour's are not all written"
    assert counted(2) == {"2026-03-01": 12, "2026-03-02": 0, "2026-03-03": 11}
    write(5, datetime(2026, 3, 3, 13, tzinfo=UTC), 100)
    assert counted(3) == {"2026-03-01": 12, "2026-03-02": 0, "2026-03-03": 11}, "a day is counted once"
