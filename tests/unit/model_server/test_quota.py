"""Hard quotas: exact over all sandboxes, by whoever signed, from one period to the next."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from labcycle_lambdas.http import Request
from labcycle_lambdas.ledger.quotas import Period, Quotas, Used
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.model_server.environment import Environment
from labcycle_lambdas.model_server.quota import HardQuota, Quota
from tests.unit.ledger.conftest import Faults, client, faults, table  # noqa: F401 - fixtures
from tests.unit.model_server.bench import SPLIT, Bench
from tests.unit.serving.workshop import MODEL, World, classifier

SHOP = "arn:aws:iam::210987654321:role/apps/shop"
SESSION = "arn:aws:sts::210987654321:assumed-role/shop/i-0123"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def quota(found: Table, *consumers: HardQuota, now: datetime = NOW) -> Quota:
    """Of a sandbox of its own."""
    return Quota(Quotas(found), "card-fraud", consumers, lambda: now)


def asked(sandbox: Quota, times: int, arn: str = SESSION) -> int:
    """How many of so many requests are answered."""
    return sum(sandbox.used_up(arn) is None for _ in range(times))


@pytest.mark.parametrize("requests", [1, 100, 3_500, 250_007])
@pytest.mark.usefixtures("faults")  # moto takes call by call, as DynamoDB does for an item
def test_many_sandboxes_never_answer_more_and_lose_nothing_while_they_live(table: Table, requests: int) -> None:  # noqa: F811
    """Each goes on until it is refused, so that all blocks are used."""
    hard = HardQuota("shop", SHOP, requests, "month")
    most = 60 if requests > 10_000 else requests
    Quotas(table).take("card-fraud", "shop", "2026-11", NOW, requests - most, most=requests)

    def until_refused(_: int) -> int:
        sandbox = quota(table, hard)
        answered = 0
        while sandbox.used_up(SESSION) is None:
            answered += 1
        return answered

    with ThreadPoolExecutor(24) as threads:
        assert sum(threads.map(until_refused, range(24))) == most
    assert Quotas(table).used("card-fraud") == [Used("shop", "2026-11", requests)]


@pytest.mark.usefixtures("faults")
def test_threads_of_one_sandbox_share_it(table: Table) -> None:  # noqa: F811
    sandbox = quota(table, HardQuota("shop", SHOP, 500, "day"))
    with ThreadPoolExecutor(24) as threads:
        assert sum(threads.map(lambda _: asked(sandbox, 50), range(24))) == 500


def test_a_condition_that_fails_gives_what_is_left(table: Table) -> None:  # noqa: F811
    """What DynamoDB itself refuses, not only what was read before."""
    quotas = Quotas(table)
    taken = [quotas.take("m", "shop", "2026-11", NOW, 40, most=100) for _ in range(4)]
    assert taken == [40, 40, 20, 0]
    assert quotas.take("m", "other", "2026-11", NOW, 40, most=100) == 40


def test_blocks_are_few_calls_and_what_a_sandbox_leaves_is_lost(table: Table, faults: Faults) -> None:  # noqa: F811
    hard = HardQuota("shop", SHOP, 50_000, "month")
    faults.refuse("UpdateItem", "ProvisionedThroughputExceededException", *range(100, 200))
    assert asked(quota(table, hard), 120) == 120  # three calls, in blocks of 50
    assert Quotas(table).used("card-fraud") == [Used("shop", "2026-11", 150)]


def test_a_used_up_period_is_asked_once_and_ends(table: Table) -> None:  # noqa: F811
    hard = HardQuota("shop", SHOP, 2, "day")
    times = [NOW]
    sandbox = Quota(Quotas(table), "card-fraud", [hard], lambda: times[0])
    assert asked(sandbox, 5) == 2
    refusal = sandbox.used_up(SESSION)
    assert refusal is not None
    assert (refusal.consumer, refusal.period, refusal.seconds) == ("shop", "2026-11-27", 12 * 3600)
    assert "2 requests of the day 2026-11-27" in refusal.message and "2026-11-28T00:00Z" in refusal.message
    times[0] = NOW + timedelta(hours=11, minutes=59, seconds=59, milliseconds=999)
    assert (late := sandbox.used_up(SESSION)) is not None and late.seconds == 1
    times[0] = NOW + timedelta(hours=12)
    assert asked(sandbox, 5) == 2
    assert [used.period for used in Quotas(table).used("card-fraud")] == ["2026-11-27", "2026-11-28"]


@pytest.mark.parametrize(
    ("per", "now", "label", "ends"),
    [
        ("day", "2026-02-28T23:59:59.999999+00:00", "2026-02-28", "2026-03-01"),
        ("day", "2026-03-01T01:00:00+02:00", "2026-02-28", "2026-03-01"),
        ("week", "2026-12-31T10:00:00+00:00", "2026-W53", "2027-01-04"),
        ("week", "2027-01-03T23:59:59+00:00", "2026-W53", "2027-01-04"),
        ("week", "2027-01-04T00:00:00+00:00", "2027-W01", "2027-01-11"),
        ("month", "2026-12-31T23:59:59+00:00", "2026-12", "2027-01-01"),
        ("month", "2028-02-01T00:00:00+00:00", "2028-02", "2028-03-01"),
    ],
)
def test_periods_end_at_midnight_of_utc(per: str, now: str, label: str, ends: str) -> None:
    found = Period.at(per, datetime.fromisoformat(now))
    assert (found.label, found.ends) == (label, datetime.fromisoformat(f"{ends}T00:00:00+00:00"))


def test_a_month_is_waited_for_a_day_at_most(table: Table) -> None:  # noqa: F811
    sandbox = quota(table, HardQuota("shop", SHOP, 1, "month"), now=datetime(2026, 11, 1, tzinfo=UTC))
    assert asked(sandbox, 1) == 1
    assert (refusal := sandbox.used_up(SESSION)) is not None and refusal.seconds == 86_400


@pytest.mark.parametrize(
    ("arn", "consumer"),
    [
        (SESSION, "shop"),
        ("arn:aws:sts::210987654321:assumed-role/shop/an/odd/session", "shop"),
        ("arn:aws:sts::210987654321:assumed-role/shopkeeper/x", "account"),  # whoever else of that account
        ("arn:aws:iam::210987654321:user/shop", "account"),  # a user of the role's name is not the role
        ("arn:aws:iam::210987654321:root", "account"),
        ("arn:aws:sts::210987654321:federated-user/shop", "account"),
        ("arn:aws:sts::310987654321:assumed-role/shop/x", None),  # the same name elsewhere
        ("", None),
        ("nonsense", None),
    ],
)
def test_who_signed_is_counted(table: Table, arn: str, consumer: str | None) -> None:  # noqa: F811
    sandbox = quota(table, HardQuota("shop", SHOP, 1, "day"), HardQuota("account", "210987654321", 1, "day"))
    assert asked(sandbox, 3, arn) == (3 if consumer is None else 1)
    assert [used.consumer for used in Quotas(table).used("card-fraud")] == ([] if consumer is None else [consumer])


def test_a_busy_ledger_is_told_and_nothing_is_counted(table: Table, faults: Faults) -> None:  # noqa: F811
    sandbox = quota(table, HardQuota("shop", SHOP, 1, "day"))
    faults.refuse("UpdateItem", "ThrottlingException", *range(20))
    with pytest.raises(Throttled):
        sandbox.used_up(SESSION)
    faults.clear()
    assert asked(sandbox, 2) == 1


def test_what_is_wrong_is_no_used_up_quota(table: Table, faults: Faults) -> None:  # noqa: F811
    faults.refuse("UpdateItem", "AccessDeniedException", *range(20))
    with pytest.raises(ClientError, match="AccessDenied"):
        quota(table, HardQuota("shop", SHOP, 1, "day")).used_up(SESSION)


def test_the_setting_is_read_as_the_stack_writes_it() -> None:
    variables = {"LEDGER_TABLE": "t", "ARTIFACT_BUCKET": "b", "TEAM": "fraud", "MODEL": "m"}
    assert Environment.read(variables).consumers == ""
    text = json.dumps([["shop", SHOP, 5, "week"]])
    assert HardQuota.several(Environment.read({**variables, "CONSUMERS": text}).consumers) == [
        HardQuota("shop", SHOP, 5, "week")
    ]


def ask(bench: Bench, arn: str, version: str, path: str = "/invocations") -> Any:
    body, method = (json.dumps(SPLIT), "POST") if path == "/invocations" else (None, "GET")
    headers = {"content-type": "application/json"}
    if version == "2.0":
        context = {"http": {"method": method}, "authorizer": {"iam": {"userArn": arn}}, "requestId": "r"}
        made = {"version": "2.0", "rawPath": path, "headers": headers, "requestContext": context, "body": body}
    else:
        context = {"identity": {"userArn": arn, "apiKeyId": "k"}, "requestId": "r", "path": f"/v1{path}"}
        made = {"httpMethod": method, "path": path, "headers": headers, "requestContext": context, "body": body}
    return bench.server.answer(Request.from_event(made))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_server_answers_429_to_whom_has_used_it_up_alone(world: World, version: str) -> None:
    bench = Bench(world)
    sandbox = Quota(Quotas(world.table), MODEL, [HardQuota("shop", SHOP, 2, "day")], lambda: NOW)
    bench = bench.with_quota(sandbox)
    assert ask(bench, SESSION, version).status == 404, "nothing is live: nothing is counted"
    bench.serve(classifier())
    assert [ask(bench, SESSION, version).status for _ in range(4)] == [200, 200, 429, 429]
    refused = ask(bench, SESSION, version)
    assert (refused.body["error_code"], refused.headers["retry-after"]) == ("REQUEST_LIMIT_EXCEEDED", "43200")
    assert "shop has used its 2 requests" in refused.body["message"]
    assert ask(bench, SESSION, version, "/ping").status == 200
    assert ask(bench, "arn:aws:sts::123456789012:assumed-role/labcycle-fraud-lead-1/lead-1", version).status == 200
    counted = [line for line in bench.log if "QuotaRefusals" in line]
    assert [(line["QuotaRefusals"], line["consumer"]) for line in counted] == [(1, "shop")] * 3
    assert counted[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Team", "Model"]]


def test_what_cannot_be_counted_is_not_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(world).serve(classifier())
    sandbox = Quota(Quotas(world.table), MODEL, [HardQuota("shop", SHOP, 2, "day")], lambda: NOW)
    bench = bench.with_quota(sandbox)

    def busy(*_: Any, **__: Any) -> int:
        raise Throttled("ThrottlingException")

    with monkeypatch.context() as patch:
        patch.setattr(Table, "count_up", busy)
        refused = ask(bench, SESSION, "1.0")
        assert (refused.status, refused.body["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert refused.headers["retry-after"] == "1"
    assert ask(bench, SESSION, "1.0").status == 200
