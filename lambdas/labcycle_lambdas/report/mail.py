"""One message by SES, and whether SES took it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from labcycle_lambdas.report.page import Page


class Refused(Exception):
    """SES did not take the message: nobody got it."""


def send(ses: Any, page: Page, *, sender: str, recipients: Sequence[str], reply_to: str) -> str:
    """Hand the message over, once; the id that SES gave it.

    All recipients are in `Bcc`: who else gets the report is nobody's business, and one message is taken or refused for all.

    Raises
    ------
    Refused
        If SES said no, or could not be reached. After any other error nobody knows whether the message was sent.
    """
    try:
        answer = ses.send_email(
            FromEmailAddress=sender,
            ReplyToAddresses=[reply_to],
            Destination={"BccAddresses": list(recipients)},
            Content={
                "Simple": {
                    "Subject": {"Data": page.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Html": {"Data": page.html, "Charset": "UTF-8"},
                        "Text": {"Data": page.text, "Charset": "UTF-8"},
                    },
                }
            },
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise
        raise Refused(f"{error.response['Error']['Code']}: {error.response['Error']['Message']}") from error
    except (ConnectTimeoutError, EndpointConnectionError) as error:
        raise Refused(str(error)) from error
    return str(answer["MessageId"])
