from __future__ import annotations

from labcycle.local.throttle import Limit, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    limit = Limit(rate=2, burst=3)
    assert [throttle.admits("a", limit) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [throttle.admits("a", limit) for _ in range(2)] == [True, False]
    clock.now += 60
    assert [throttle.admits("a", limit) for _ in range(4)] == [True, True, True, False]


def test_refused_requests_take_no_token() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    limit = Limit(rate=1, burst=1)
    assert throttle.admits("a", limit)
    for _ in range(100):
        assert not throttle.admits("a", limit)
    clock.now += 1
    assert throttle.admits("a", limit)


def test_keys_do_not_share_a_bucket_and_a_new_limit_starts_full() -> None:
    throttle = Throttle(Clock())
    one = Limit(rate=1, burst=1)
    assert throttle.admits("a", one)
    assert throttle.admits("b", one)
    assert not throttle.admits("a", one)
    assert throttle.admits("a", Limit(rate=1, burst=2))
