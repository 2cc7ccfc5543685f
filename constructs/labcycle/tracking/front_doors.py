"""The doors of the tracking API beside that of IAM, and what its functions know of those who come through them.

A route of an HTTP API has one authoriser, and a JWT authoriser one issuer: so an API for each issuer, in front of the same
functions. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from aws_cdk.aws_apigatewayv2_authorizers import HttpJwtAuthorizer
from constructs import Construct

from labcycle._http_api import http_api, metric_errors
from labcycle._notices import errors_alarm
from labcycle.config import Issuer, names

RIGHTS = ("read", "log", "register", "promote", "administer", "erase")
# All variables of a function have 4 KB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), as the JSON
# of their map: each quotation mark in one counts twice. The others take 500 at most.
MEMBERS_LIMIT_BYTES = 3_584
Routes = Sequence[tuple[str, apigateway.HttpMethod, lambda_.IFunction]]


@dataclass(frozen=True)
class Access:
    """Who may call a team's tracking API, besides what IAM says, and what they may do there.

    Parameters
    ----------
    rights
        Of each member, as far as the API knows them: those of `RIGHTS`.
    issuers
        Issuers of tokens (JWT) that are let in; each gets an address of its own.
    subjects
        The members who come with a token: address of the issuer, then subject (`sub`). Who holds another token of an
        issuer may log and read.
    """

    rights: Mapping[str, Collection[str]]
    issuers: Sequence[Issuer] = ()
    subjects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def variable(self) -> str:
        """What the functions read from the variable MEMBERS.

        Raises
        ------
        ValueError
            If it is larger than a function takes.
        """
        grouped: dict[str, list[str]] = {}
        for member, held in sorted(self.rights.items()):
            grouped.setdefault(" ".join(right for right in sorted(RIGHTS) if right in held), []).append(member)
        subjects = {
            issuer: dict(sorted(members.items())) for issuer, members in sorted(self.subjects.items()) if members
        }
        text = json.dumps({"rights": dict(sorted(grouped.items())), "subjects": subjects}, separators=(",", ":"))
        size = len(json.dumps(text))
        if size > MEMBERS_LIMIT_BYTES:
            raise ValueError(
                f"members: got {len(self.rights)} members with {sum(map(len, subjects.values()))} subjects of tokens, which take "
                f"{size:,} bytes; allowed {MEMBERS_LIMIT_BYTES:,}, since the variables of a function have 4 KB. "
                "Split the team, or remove subjects of members who sign in to their roles."
            )
        return text


class TokenDoor(Construct):
    """The address of the tracking API for those who come with a token of one issuer.

    Parameters
    ----------
    routes
        Path, method and function, as at the door of IAM.
    notice_topic
        Gets an alarm when this door keeps answering 5xx (0.10 USD a month). Absent: there is no alarm.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        issuer: Issuer,
        routes: Routes,
        requests_per_second: int,
        burst: int,
        access_log: logs.ILogGroup,
        key: kms.IKey,
        notice_topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = http_api(
            self,
            "Api",
            description=f"Experiment tracking of the team {team}, by tokens of {issuer.name}",
            routes=routes,
            requests_per_second=requests_per_second,
            burst=burst,
            access_log=access_log,
            authorizer=HttpJwtAuthorizer("Tokens", issuer.url, jwt_audience=[issuer.audience]),
        )
        self.url = self.api.api_endpoint
        if notice_topic is not None:
            errors_alarm(
                self,
                "ErrorsAlarm",
                errors=self.metric_errors(),
                what=(
                    f"The tracking API of the team {team} keeps answering 5xx to those who come with a token of {issuer.name}. See "
                    f"which error in the logs of its functions. Clients repeat what they sent, so that nothing needs to be "
                    "logged again once it is mended."
                ),
                topic=notice_topic,
                key=key,
            )
        ssm.StringParameter(
            self,
            "Url",
            parameter_name=names.token_url_parameter(team, issuer.name),
            string_value=self.url,
            description=f"Address of the tracking API of the team {team} for tokens of {issuer.name}",
        )

    def metric_errors(self) -> cloudwatch.Metric:
        """Answers with a 5xx status a minute: ours, never the caller's."""
        return metric_errors(self.api)
