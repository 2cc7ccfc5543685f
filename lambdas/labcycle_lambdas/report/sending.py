"""One report: read, render, keep, send; once a scheduled time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.reports import REFUSED, SENT, Reports, Unanswered
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.report.content import Reader
from labcycle_lambdas.report.environment import Environment
from labcycle_lambdas.report.mail import Refused, send
from labcycle_lambdas.report.page import Page, render
from labcycle_lambdas.s3_calls import s3_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class MaybeSent(RuntimeError):
    """Nobody knows whether the report reached its recipients."""


class NotSent(RuntimeError):
    """The report was kept, and SES would not send it."""


@dataclass(frozen=True)
class Sending:
    """Sends the reports of one model."""

    environment: Environment
    reader: Reader
    reports: Reports
    s3: S3Client
    ses: Any

    def report(self, at: datetime) -> Mapping[str, Any]:
        """Send the report of the time `at`; one that was sent before is not sent again.

        Returns
        -------
        The mark in the ledger: `state`, `key` and `version_id` of the page in the bucket, `message_id` of SES.

        Raises
        ------
        NotSent
            If SES refused the message; the call can be repeated.
        MaybeSent
            If it was handed to SES before and the answer was lost, or another call hands it over now.
        Throttled
            If DynamoDB or S3 took no calls; nothing was sent, unless it was the last word that was lost.
        """
        model, name = self.environment.model, stamp(at)
        try:
            if before := self.reports.sent(model, name):
                return before
            page = render(self.reader.read(at))
            kept = self._keep(page, at)
            begun = self.reports.begin(model, name, kept)
        except Unanswered:
            raise MaybeSent(
                f"the report of {model} for {name} was handed to SES, and no answer is known: it is not sent again by itself. "
                f"Ask a recipient. If it did not come, call this function with {{}}: that sends the report of the same days, as "
                f"long as it is the same day."
            ) from None
        environment = self.environment
        try:
            message_id = send(
                self.ses,
                page,
                sender=environment.sender,
                recipients=environment.recipients,
                reply_to=environment.business_owner,
            )
        except Refused as error:
            self.reports.end(begun, REFUSED, {"reason": str(error)})
            raise NotSent(
                f"SES did not send the report of {model} for {name}, which is kept as {kept['key']}: {error}. Check that the "
                f"sender {environment.sender} is verified in SES in this region, and that the account is out of the sandbox."
            ) from error
        self.reports.end(begun, SENT, {"message_id": message_id})
        return {"state": SENT, **kept, "message_id": message_id}

    def _keep(self, page: Page, at: datetime) -> dict[str, str]:
        """The page in the bucket, by the date of the report; the bucket keeps every version."""
        key = f"reports/{self.environment.model}/{at.astimezone(self.environment.zone).date()}.html"
        answer = s3_call(
            lambda: self.s3.put_object(
                Bucket=self.environment.artifact_bucket,
                Key=key,
                Body=page.html.encode(),
                ContentType="text/html; charset=utf-8",
            )
        )
        return {"key": key, "version_id": str(answer.get("VersionId", ""))}
