"""The inbox: every notice that a topic would send by e-mail, kept in the order of arrival."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from ministack.services import sns

from labcycle.local.emulation import clock

_LIMIT = 10_000
_inbox: list[dict[str, str]] = []
_lock = threading.Lock()


def inbox() -> list[dict[str, str]]:
    """Notices, oldest first: time, topic, address, subject, text."""
    with _lock:
        return list(_inbox)


def install() -> None:
    """MiniStack only logs an e-mail subscription. Confirmation is skipped: nobody can click here."""
    original = sns._fanout

    def fanout(topic_arn: str, message_id: str, message: str, subject: str, *arguments: Any, **named: Any) -> None:
        original(topic_arn, message_id, message, subject, *arguments, **named)
        topic = sns._topic_by_arn_any_scope(topic_arn)
        attributes = arguments[1] if len(arguments) > 1 else named.get("message_attributes")
        structure = arguments[0] if arguments else named.get("message_structure", "")
        for subscription in (topic or {}).get("subscriptions", []):
            protocol = subscription.get("protocol")
            text = sns._resolve_message_for_protocol(message, structure, protocol)
            if protocol in ("email", "email-json") and sns._matches_filter_policy(subscription, attributes or {}, text):
                _keep(topic_arn, subscription["endpoint"], subject, text)

    sns._fanout = fanout


def _keep(topic: str, address: str, subject: str, text: str) -> None:
    stamp = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with _lock:
        _inbox.append(
            {
                "time": stamp,
                "topic": topic,
                "address": address,
                "subject": subject or "AWS Notification Message",
                "text": text,
            }
        )
        del _inbox[:-_LIMIT]
