"""Lambda's poller of table streams: moto calls a function within the write, without filter, policy or second try.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from datetime import datetime
from typing import Any
from unittest import mock

from moto.core.utils import unix_time
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import StreamRecord, StreamShard
from moto.events.models import EventPattern

from tests.cloud.harness import policies
from tests.cloud.harness.place import Place

_NEEDED = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_TRIES = 2  # stands for however many the mapping allows


def patch(stack: ExitStack) -> None:
    """Let streams keep their records, until `deliver`, while `stack` lasts."""

    def add(shard: StreamShard, old: Any, new: Any) -> None:
        view = shard.table.stream_specification["StreamViewType"]
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        number = len(shard.items) + shard.starting_sequence_number
        shard.items.append(StreamRecord(shard.table, view, name, old, new, number))

    stack.enter_context(mock.patch.object(StreamShard, "add", add))
    # moto copies a table with its stream before each transaction, and a record never changes.
    stack.enter_context(mock.patch.object(StreamRecord, "__deepcopy__", lambda record, memo: record, create=True))


def forget(place: Place) -> None:
    """Drop what the streams of a place hold."""
    for table in dynamodb_backends[place.account][place.region].tables.values():
        if table.stream_shard:
            table.stream_shard.items.clear()


def deliver(place: Place) -> None:
    """Hand the records that the streams of a place hold to the functions that are mapped to them."""
    lambda_ = place.client("lambda")
    tables = dynamodb_backends[place.account][place.region].tables.values()
    for mapping in lambda_.list_event_source_mappings()["EventSourceMappings"]:
        stream = mapping["EventSourceArn"]
        shard = next((t.stream_shard for t in tables if t.stream_shard and stream.startswith(f"{t.table_arn}/")), None)
        if shard is None:
            continue
        role = lambda_.get_function_configuration(FunctionName=mapping["FunctionArn"])["Role"]
        for action in _NEEDED:
            policies.require_role(role, action, stream)
        policies.require_role(role, "dynamodb:ListStreams", "*")
        records, shard.items = [_record(item.to_json(), place, stream) for item in shard.items], []
        patterns = [entry["Pattern"] for entry in (mapping.get("FilterCriteria") or {}).get("Filters", ())]
        wanted = [r for r in records if not patterns or any(EventPattern.load(p).matches_event(r) for p in patterns)]
        for start in range(0, len(wanted), mapping["BatchSize"]):
            _hand_over(place, mapping, role, wanted[start : start + mapping["BatchSize"]])


def _record(record: dict[str, Any], place: Place, stream: str) -> dict[str, Any]:
    change = dict(record["dynamodb"])
    if isinstance(made := change["ApproximateCreationDateTime"], datetime):
        change["ApproximateCreationDateTime"] = unix_time(made)
    told = {**record, "awsRegion": place.region, "dynamodb": change, "eventSourceARN": stream}
    return json.loads(json.dumps(told, default=lambda binary: base64.b64encode(binary).decode()))  # type: ignore[no-any-return]


def _hand_over(place: Place, mapping: dict[str, Any], role: str, batch: list[dict[str, Any]]) -> None:
    for _ in range(_TRIES):
        answer = place.client("lambda").invoke(
            FunctionName=mapping["FunctionArn"], Payload=json.dumps({"Records": batch}).encode()
        )
        if "FunctionError" in answer:
            continue
        failures = (json.loads(answer["Payload"].read()) or {}).get("batchItemFailures") or []
        numbers = {failure["itemIdentifier"] for failure in failures}
        if not numbers or "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or ()):
            return
        first = min(i for i, record in enumerate(batch) if record["dynamodb"]["SequenceNumber"] in numbers)
        batch = batch[first:]
    queue = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    policies.require_role(role, "sqs:SendMessage", queue)
    sqs = place.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    numbers_of = [record["dynamodb"]["SequenceNumber"] for record in (batch[0], batch[-1])]
    told = {"startSequenceNumber": numbers_of[0], "endSequenceNumber": numbers_of[1], "batchSize": len(batch)}
    said = {"requestContext": {"functionArn": mapping["FunctionArn"]}, "DDBStreamBatchInfo": told}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(said))
