"""The team file, as models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, StringConstraints, model_validator

from . import rules
from .endpoints import EndpointInstance, LaterInstance, ServerlessMemory, endpoint_memory_mb
from .fargate import CpuUnits
from .hardware import TIERS, HardwareTier, TierName
from .locks import Flavour, Lock
from .metrics import Metric
from .origin import Origin
from .problem import ConfigError
from .ruling import obey
from .schedules import CronExpression, ScheduleExpression, TimeZone, as_schedule
from .vocabulary import Allowed, Email, InstanceTypeName, Name, Settings, TagValue

Stage = Literal["sandbox", "staging", "production"]
Role = Literal["data_scientist", "lead", "reviewer", "operator", "stakeholder", "platform_engineer"]
Compliance = Literal["hipaa", "nist-800-53", "pci"]
DriftMethod = Literal["psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov"]
Cause = Literal["drift", "performance", "business", "schedule", "manual"]
PrincipalKind = Literal["identity_center", "iam_user", "saml_subject", "oidc_subject"]

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_SignInName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$"),
    Allowed("a user name of 2 to 64 letters, digits and _ + = , . @ -"),
]
_Subject = Annotated[
    str,
    # In a policy $ would begin a variable: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    StringConstraints(pattern=r"^[!-#%-~]{2,256}$"),
    Allowed("a subject of 2 to 256 ASCII characters without spaces and $"),
]
_IssuerUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^https://[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$", max_length=512
    ),
    Allowed("the issuer's address as in its tokens' iss, such as https://login.example.com/tenant"),
]
_Audience = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._~:/@-]{1,255}$"),
    Allowed("an audience of at most 255 letters, digits and . _ ~ : / @ -"),
]
_Image = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$"
    ),
    Allowed(
        "an ECR image with its tag or digest",
        "Write it as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/repository:tag",
    ),
]
_ConsumerPrincipal = Annotated[
    str,
    # No asterisk and no session: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    StringConstraints(
        pattern=r"^([0-9]{12}|arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64})$",
        max_length=200,
    ),
    Allowed(
        "the ARN of a role such as arn:aws:iam::123456789012:role/shop, or an account of 12 digits in quotes",
        "Name the role that signs, without a session",
    ),
]
_TrainingInstance = Annotated[
    str,
    StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$"),
    Allowed("a SageMaker instance type such as ml.m5.large"),
]
_RequirementsFile = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\.\./)*[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.txt$", max_length=200
    ),
    Allowed(
        "the path of a .txt file from the folder of the team file, such as requirements/card-fraud.txt",
        "Name it with letters, digits and _ . - /",
    ),
]
_Column = Annotated[str, StringConstraints(min_length=1, max_length=100), Allowed("the name of a feature")]
_Percent = Annotated[int, Field(ge=1, le=99)]
_TimesOfDay = Annotated[
    str,
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based, at chosen minutes of chosen hours
    StringConstraints(
        pattern=r"^cron\([0-5]?[0-9] ([01]?[0-9]|2[0-3])(,([01]?[0-9]|2[0-3]))* "
        r"(\? [0-9A-Z*/,-]+ [0-9A-Z*/,#-]+|[0-9LW*/,-]+ [0-9A-Z*/,-]+ \?) [0-9*/,-]+\)$",
        max_length=256,
    ),
    AfterValidator(as_schedule),
    Allowed(
        "cron(minute hour day month weekday year) with ? for day or weekday, such as cron(0 7 ? * MON *)",
        "Name one minute, and the hours, as numbers",
    ),
]


class Principal(Settings):
    """How a member signs in: exactly one of the four."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    identity_center: _SignInName | None = None
    """User name in IAM Identity Center, usually an e-mail address. Needs `sign_in.identity_center_permission_set` in the target."""
    iam_user: _SignInName | None = None
    """IAM user of the target's account."""
    saml_subject: _Subject | None = None
    """Subject at the SAML provider that the target names in `sign_in.saml_provider`."""
    oidc_subject: _Subject | None = None
    """Subject (`sub`) at the OpenID Connect provider that the target names in `sign_in.oidc_provider`."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.principal_rules)

    @property
    def kind(self) -> PrincipalKind:
        """The one way to sign in that is set."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def value(self) -> str:
        """Who signs in that way."""
        return str(getattr(self, self.kind))


_KINDS: tuple[PrincipalKind, ...] = get_args(PrincipalKind)


class Token(Settings):
    """Whom the tokens of an issuer call a member."""

    issuer: Name
    """Name of an issuer in `tracking.issuers`."""
    subject: _Subject
    """Subject (`sub`) of the member's tokens."""


class Member(Settings):
    """A person of the team."""

    name: Name
    """Name of the member within the team; part of role names and of every record in the ledger."""
    principal: Principal
    """How the member signs in."""
    roles: Annotated[tuple[Role, ...], Field(strict=False, min_length=1)]
    """What the member does; it decides what the member may do."""
    tokens: Annotated[tuple[Token, ...], Field(strict=False)] = ()
    """By which tokens the tracking API knows the member, besides the role. Of the target's `sign_in.oidc_provider` it knows the
    `oidc_subject` of `principal` by itself."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.member_rules)


class Issuer(Settings):
    """An issuer of tokens (JWT) whose holders may call the tracking API, at an address of its own."""

    name: Annotated[Name, Field(max_length=40)]
    """Name of the issuer within the team; part of the output and the parameter that hold the address."""
    url: _IssuerUrl
    """The issuer, letter by letter as in its tokens' `iss`. Its /.well-known/openid-configuration must be public."""
    audience: _Audience
    """For whom the tokens are issued (`aud`, or `client_id`); those that are issued for others are refused."""


class RetentionRule(Settings):
    """Runs that may be let go: artifacts and metric points go, what the run was stays. Never what a version is built from."""

    status: Literal["deleted", "failed", "killed", "finished"]
    """Of the run; `deleted` whatever else it is, the others only while it is not deleted."""
    days: Annotated[int, Field(ge=1, le=36500)]
    """Days since it was written to last."""


class Tracking(Settings):
    """The experiment log."""

    artifact_retention_days: Annotated[int, Field(ge=30, le=36500)] = 3650
    """Days for which artifacts that were deleted or overwritten can be brought back."""
    requests_per_second: Annotated[int, Field(ge=1, le=10000)] = 100
    """Sustained requests a second; more is answered by 429."""
    burst: Annotated[int, Field(ge=1, le=5000)] = 200
    """Requests that may come at once."""
    issuers: Annotated[tuple[Issuer, ...], Field(strict=False, max_length=8)] = ()
    """Issuers of tokens (JWT); absent: members call with the credentials of their roles alone."""
    retention: Annotated[tuple[RetentionRule, ...], Field(strict=False, max_length=4)] = ()
    """What `labcycle retention` lets go, when somebody with the right to erase runs it; absent: nothing."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.tracking_rules)


class OwnTier(Settings):
    """A hardware tier that the catalogue does not have."""

    name: Annotated[Name, Field(max_length=40)]
    """Name of the tier."""
    instance_type: InstanceTypeName
    """EC2 instance type; `labcycle tiers advise` names fitting ones with their prices."""


class Workspaces(Settings):
    """Machines that members with the role data_scientist can start."""

    tiers: Annotated[tuple[TierName, ...], Field(strict=False, min_length=1, max_length=10)]
    """Hardware tiers on offer; `labcycle tiers` lists them with their prices."""
    own_tiers: Annotated[tuple[OwnTier, ...], Field(strict=False, max_length=9)] = ()
    """Further tiers of the team's own, on offer as well; with those of the catalogue 10 at most."""
    volume_gib: Annotated[int, Field(ge=40, le=16384)] = 100
    """Size of a workspace's encrypted data volume in GiB."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.workspaces_rules)

    @property
    def hardware(self) -> tuple[HardwareTier, ...]:
        """All tiers on offer."""
        own = (HardwareTier(one.name, one.instance_type) for one in self.own_tiers)
        return (*(TIERS[name] for name in self.tiers), *own)


class GpuCompute(Settings):
    """Machines with GPUs for jobs that ask for one (NVIDIA A10G, L4 or T4; about 1 USD an hour for each GPU that works, on spot about 0.40)."""

    max_vcpus: Annotated[int, Field(ge=8, le=10_000)] = 32
    """Virtual processors of all of them together at most; a machine with one GPU has 4 or more. What the account has of them is a quota,
    often 0 in a new account."""
    spot: bool = True
    """Whether spot machines are asked for first, which AWS may take back at any time; others only where there is none."""


class Compute(Settings):
    """Jobs of members with the role data_scientist, such as the points of a sweep, on machines that are there only while a job runs;
    nothing is paid while none does."""

    image: _Image
    """Image of the team's own that jobs run in: with Python, labcycle, and what the scripts import. Of the target's region."""
    max_vcpus: Annotated[int, Field(ge=4, le=10_000)] = 64
    """Virtual processors of all machines together at most (about 0.05 USD an hour for each that works, on spot about 0.02)."""
    spot: bool = True
    """Whether spot machines are asked for first, which AWS may take back at any time; others only where there is none."""
    gpu: GpuCompute | None = None
    """Machines with GPUs beside those; absent: none."""


class ConsumerQuota(Settings):
    """How many requests a consumer has."""

    requests: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Requests in each period."""
    per: Literal["day", "week", "month"]
    """The period, in UTC."""


class Consumer(Settings):
    """Somebody who asks for predictions: signs as an IAM principal, and sends a key by which API Gateway knows the limits."""

    name: Annotated[Name, Field(max_length=40)]
    """Name of the consumer within the model."""
    principal: _ConsumerPrincipal
    """Role that signs the consumer's requests, of whichever account; or a whole account other than the target's."""
    requests_per_second: Annotated[int | None, Field(ge=1, le=10000)] = None
    """Sustained requests a second of this consumer; absent: as many as the API takes together."""
    burst: Annotated[int | None, Field(ge=1, le=5000)] = None
    """Requests of this consumer that may come at once; absent: as many as the API takes."""
    quota: ConsumerQuota | None = None
    """Requests in a day, week or month; absent: no limit. API Gateway counts about right, and may let some more through."""
    hard: bool = False
    """Whether the quota is never exceeded: the function counts each request in the ledger."""


class ShadowPlace(Settings):
    """Where a version can score what the live one answers, without answering: a function of its own, which costs nothing while idle."""

    concurrency: Annotated[int, Field(ge=1, le=100)] = 2
    """Requests that it scores at once; this many are kept for it of those that the account has for all functions."""


class OffHours(Settings):
    """Hours that come again and again, in which another number is there, no more and no less."""

    begin: CronExpression
    """When they begin, as cron(minutes hours day-of-month month day-of-week year)."""
    end: CronExpression
    """When they end, written alike; then all is as at other times."""
    time_zone: TimeZone = "Etc/UTC"
    """Time zone of both."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.off_hours_rules)


class ConcurrencyOffHours(OffHours):
    """Hours in which fewer functions are started ahead."""

    concurrency: Annotated[int, Field(ge=0, le=1000)]
    """Functions that are started ahead meanwhile; at 0 the first request waits for a start, and nothing is paid."""


class TaskOffHours(OffHours):
    """Hours in which there are fewer tasks."""

    tasks: Annotated[int, Field(ge=0, le=50)]
    """Tasks meanwhile; at 0 the API answers 503 with Retry-After."""


class InstanceOffHours(OffHours):
    """Hours in which there are fewer instances."""

    instances: Annotated[int, Field(ge=1, le=50)]
    """Instances meanwhile; SageMaker keeps one at least."""


class Provisioned(Settings):
    """Functions are started, and the live version loaded, before anybody asks."""

    mode: Literal["provisioned"]
    """How the function starts."""
    concurrency: Annotated[int, Field(ge=1, le=1000)]
    """Requests that are answered at once without a start (about 11 USD a month for each and GB of memory, also while idle); more
    than that are answered as without."""
    off_hours: ConcurrencyOffHours | None = None
    """Hours in which fewer are started ahead; absent: there are none."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.provisioned_rules)


class SnapStart(Settings):
    """Functions begin from a snapshot of one that was started, with the version that was live at the deployment."""

    mode: Literal["snap_start"]
    """How the function starts (about 3.90 USD a month for each GB of memory, also while idle, and 0.14 USD for a thousand starts and
    GB). Not in China, GovCloud, Taipei and New Zealand."""


class ApiDelivery(Settings):
    """The model answers over HTTP."""

    form: Literal["api"]
    """How the model is delivered."""
    runtime: Literal["lambda"]
    """Where the model runs."""
    memory_mb: Annotated[int, Field(ge=512, le=10240)] = 2048
    """Memory of the function in MB; the processor grows with it."""
    timeout_seconds: Annotated[int, Field(ge=3, le=29)] = 29
    """Longest time of one answer; a cold start takes some of it, and an HTTP API ends at 30 seconds."""
    requests_per_second: Annotated[int, Field(ge=1, le=10000)] = 50
    """Sustained requests a second; more is answered by 429."""
    burst: Annotated[int, Field(ge=1, le=5000)] = 100
    """Requests that may come at once."""
    consumers: Annotated[tuple[Consumer, ...], Field(strict=False, max_length=20)] = ()
    """Who may ask besides the team, each with limits of its own; absent: the team alone. Needs `api_gateway_logs` in the target."""
    shadow: ShadowPlace | None = None
    """Where a version can be compared with the live one in its shadow; absent: nowhere."""
    concurrency: Annotated[int | None, Field(ge=1, le=10000)] = None
    """Requests that are answered at once at most; so many are kept for the model of those that the account has for all functions.
    Absent: what the account has is shared."""
    start: Annotated[Provisioned | SnapStart, Field(discriminator="mode")] | None = None
    """What shortens a start of the function, for a price; absent: a start takes some seconds, and nothing is paid while idle."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.api_rules)


class FargateDelivery(Settings):
    """The model answers over HTTP, from processes that are always there."""

    form: Literal["api"]
    """How the model is delivered."""
    runtime: Literal["fargate"]
    """Where the model runs."""
    cpu: CpuUnits = 1024
    """Units of processor of one task; 1024 are a virtual processor (about 30 USD a month)."""
    memory_mb: Annotated[int, Field(ge=512, le=122_880)] = 2048
    """Memory of one task in MB; Fargate has some for each cpu."""
    minimum_tasks: Annotated[int, Field(ge=1, le=50)] = 2
    """Tasks that are always there, spread over the zones; 2 or more in production."""
    maximum_tasks: Annotated[int, Field(ge=1, le=50)] = 6
    """Tasks that there are at most; each takes its share of requests_per_second."""
    off_hours: TaskOffHours | None = None
    """Hours in which there are fewer tasks; absent: there are none."""
    timeout_seconds: Annotated[int, Field(ge=3, le=29)] = 29
    """Longest time of one answer."""
    requests_per_second: Annotated[int, Field(ge=1, le=10000)] = 50
    """Sustained requests a second; more is answered by 429."""
    burst: Annotated[int, Field(ge=1, le=5000)] = 100
    """Requests that may come at once."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.fargate_rules)


class EndpointDelivery(Settings):
    """The model answers over HTTP, from an endpoint of SageMaker."""

    form: Literal["api"]
    """How the model is delivered."""
    runtime: Literal["sagemaker"]
    """Where the model runs."""
    requests_per_second: Annotated[int, Field(ge=1, le=10000)] = 50
    """Sustained requests a second; more is answered by 429."""
    burst: Annotated[int, Field(ge=1, le=5000)] = 100
    """Requests that may come at once."""


class RealTimeDelivery(EndpointDelivery):
    """The model answers over HTTP, from instances of SageMaker that are always there."""

    mode: Literal["real_time"]
    """When there are instances."""
    instance_type: EndpointInstance = "ml.m5.large"
    """SageMaker instance type (about 84 USD a month for one ml.m5.large)."""
    minimum_instances: Annotated[int, Field(ge=1, le=50)] = 2
    """Instances that are always there, spread over the zones; 2 or more in production."""
    maximum_instances: Annotated[int, Field(ge=1, le=50)] = 4
    """Instances that there are at most; each takes its share of requests_per_second."""
    off_hours: InstanceOffHours | None = None
    """Hours in which there are fewer instances; absent: there are none."""
    timeout_seconds: Annotated[int, Field(ge=3, le=29)] = 29
    """Longest time of one answer."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.endpoint_rules)

    @property
    def memory_mb(self) -> int:
        """Memory of one instance in MB."""
        return endpoint_memory_mb(self.instance_type)


class ServerlessDelivery(EndpointDelivery):
    """The model answers over HTTP, from SageMaker, which starts servers when somebody asks."""

    mode: Literal["serverless"]
    """When there are servers."""
    memory_mb: ServerlessMemory = 3072
    """Memory of one server in MB; the processor grows with it."""
    maximum_concurrency: Annotated[int, Field(ge=1, le=200)] = 10
    """Requests that are answered at once; all endpoints of an account and region share some hundreds."""
    timeout_seconds: Annotated[int, Field(ge=3, le=29)] = 29
    """Longest time of one answer; a cold start takes much of it."""


class AsynchronousDelivery(EndpointDelivery):
    """The model answers over HTTP, but later: a request waits for an instance of SageMaker, and its answer is fetched by its id."""

    mode: Literal["asynchronous"]
    """When there are instances."""
    instance_type: LaterInstance = "ml.m5.large"
    """SageMaker instance type (about 0.12 USD an hour for one ml.m5.large, 0.74 for one ml.g4dn.xlarge with a GPU)."""
    minimum_instances: Annotated[int, Field(ge=0, le=50)] = 0
    """Instances that are always there; 0: none, and the first request waits some minutes for one."""
    maximum_instances: Annotated[int, Field(ge=1, le=50)] = 4
    """Instances that there are at most."""
    concurrency: Annotated[int, Field(ge=1, le=8)] = 4
    """Requests that an instance answers at once."""
    timeout_seconds: Annotated[int, Field(ge=3, le=3600)] = 900
    """Longest time of one answer, without the time that its request waits."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.endpoint_rules)

    @property
    def memory_mb(self) -> int:
        """Memory of one instance in MB."""
        return endpoint_memory_mb(self.instance_type)


class BatchDelivery(Settings):
    """The model scores objects that lie in the artifact bucket, below `batch/<model>/in/`."""

    form: Literal["batch"]
    """How the model is delivered."""
    schedule: ScheduleExpression | None = None
    """When it scores what lies there, as EventBridge Scheduler writes it; absent: when somebody or something starts it."""
    time_zone: TimeZone = "Etc/UTC"
    """Time zone of the schedule."""
    memory_mb: Annotated[int | None, Field(ge=512, le=10240)] = None
    """Memory of the function in MB; absent: that of the model's api, or 2048."""
    concurrency: Annotated[int, Field(ge=1, le=40)] = 5
    """Objects that are scored at once."""
    tolerated_failure_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Share of a run's rows that may fail without the owner being told; objects that fail are always told."""


class ExternalDelivery(Settings):
    """The model is served elsewhere, by what sends its records: what it was given, and what it predicted."""

    form: Literal["external"]
    """How the model is delivered."""


class ReportDelivery(Settings):
    """What the model did, by e-mail, for people."""

    form: Literal["report"]
    """How the model is delivered."""
    schedule: _TimesOfDay
    """When it is sent, as cron(minute hour day month weekday year)."""
    time_zone: TimeZone = "Etc/UTC"
    """Time zone of the schedule, and of the report's days."""
    sender: Email
    """Address that it comes from; it or its domain must be verified in SES, in the target's account and region."""
    recipients: Annotated[tuple[Email, ...], Field(strict=False, min_length=1, max_length=50)]
    """Who gets it; none of them sees the others."""
    days: Annotated[int, Field(ge=1, le=92)] = 7
    """Whole days that it looks back on, to the end of the day before."""


class AppDelivery(Settings):
    """A page with a form on which people try the model; beside an api, which answers it."""

    form: Literal["app"]
    """How the model is delivered."""


OverHttp = ApiDelivery | FargateDelivery | RealTimeDelivery | ServerlessDelivery | AsynchronousDelivery
Delivery = Annotated[
    Annotated[
        ApiDelivery
        | FargateDelivery
        | Annotated[RealTimeDelivery | ServerlessDelivery | AsynchronousDelivery, Field(discriminator="mode")],
        Field(discriminator="runtime"),
    ]
    | BatchDelivery
    | ExternalDelivery
    | ReportDelivery
    | AppDelivery,
    Field(discriminator="form"),
]


class Drift(Settings):
    """When the data that a model sees counts as drifted from what it was trained on."""

    method: DriftMethod = "psi"
    """Figure by which a column is judged, over fixed bins: population stability index, Jensen-Shannon distance, Wasserstein distance
    in standard deviations of the training data, or the Kolmogorov-Smirnov statistic."""
    threshold: Annotated[float | None, Field(ge=0.01, le=10)] = None
    """Figure from which a feature or the prediction has drifted; absent: 0.2 of psi, 0.1 of the others."""
    minimum_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 500
    """Rows below which nothing is concluded."""
    persistence: Annotated[int, Field(ge=1, le=100)] = 3
    """Evaluations in a row that must find drift before the alarm."""
    every_minutes: Annotated[int, Field(ge=1, le=10080)] = 60
    """Minutes between evaluations, of drift and of all else that is watched."""
    window_hours: Annotated[int, Field(ge=1, le=744)] = 24
    """Hours that an evaluation looks back on, never beyond the last promotion."""

    @property
    def limit(self) -> float:
        """The threshold; of the method where none is set."""
        return _THRESHOLDS[self.method] if self.threshold is None else self.threshold


_THRESHOLDS: dict[DriftMethod, float] = {
    "psi": 0.2,
    "jensen_shannon": 0.1,
    "wasserstein": 0.1,
    "kolmogorov_smirnov": 0.1,
}


class RawCapture(Settings):
    """Requests that are kept as they came, for people to look into."""

    percent: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Share of the requests whose features are kept, beside the predictions."""
    redact: Annotated[tuple[_Column, ...], Field(strict=False, max_length=50)] = ()
    """Features that are never kept."""
    days: Annotated[int, Field(ge=1, le=3650)] = rules.CAPTURE_DAYS
    """Days after which what was kept is deleted."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.capture_rules)


LONGEST_WINDOW_DAYS = 92


class Performance(Settings):
    """When predictions count as wrong, by the ground truth that comes back by their ids."""

    metric: Metric = "accuracy"
    """Metric of the predictions whose truth is known."""
    limit: float
    """Value from which the model is good enough: at least this much; of log_loss, rmse and mae at most this much."""
    minimum_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 200
    """Predictions with a truth below which nothing is concluded."""
    persistence: Annotated[int, Field(ge=1, le=100)] = 2
    """Evaluations in a row that must find it before the alarm."""
    window_days: Annotated[int, Field(ge=1, le=LONGEST_WINDOW_DAYS)] = rules.WINDOW_DAYS
    """Days of predictions that an evaluation looks back on, never beyond the last promotion."""


class Outcome(Settings):
    """What the model is worth to the business, by the values that come back by the ids of its predictions."""

    metric: Name
    """Name of what is summed up, such as money-saved."""
    minimum: float
    """Sum in the window below which the business is told."""
    expected: float | None = None
    """Sum in the window that was hoped for, which the realised one is shown beside; absent: none."""
    minimum_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 50
    """Predictions with a value below which nothing is concluded."""
    persistence: Annotated[int, Field(ge=1, le=100)] = 2
    """Evaluations in a row that must find it before the alarm."""
    window_days: Annotated[int, Field(ge=1, le=LONGEST_WINDOW_DAYS)] = rules.WINDOW_DAYS
    """Days of predictions that are summed up."""


class Freshness(Settings):
    """How old data may be."""

    training_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    """Days ago that the live version may have been trained; absent: any."""
    traffic_hours: Annotated[int | None, Field(ge=1, le=8760)] = None
    """Hours without a prediction after which something upstream may be broken; absent: any."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.freshness_rules)


class Monitor(Settings):
    """What is watched."""

    drift: Drift = Drift()
    """Drift of features and predictions."""
    cohorts: Annotated[tuple[_Column, ...], Field(strict=False, max_length=3)] = ()
    """Categorical features whose most frequent values are watched each by itself, too."""
    capture: RawCapture | None = None
    """Requests that are kept as they came; absent: none."""
    performance: Performance | None = None
    """Whether predictions come true (an alarm and a metric, 0.40 USD a month); absent: not watched."""
    outcome: Outcome | None = None
    """What the model is worth to the business (0.40 USD a month); absent: not watched."""
    freshness: Freshness | None = None
    """How old data may be (0.40 USD a month); absent: any age."""
    dashboard: bool = False
    """Whether CloudWatch has a dashboard of the model (3 USD a month); `labcycle monitor status` shows the same for nothing."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.monitor_rules)

    @property
    def logs_predictions(self) -> bool:
        """Whether each prediction is kept with its id, by which outcomes are told."""
        return any((self.capture, self.performance, self.outcome))

    @property
    def prediction_days(self) -> int:
        """Days for which predictions are kept: without a capture, as long as an evaluation can look back."""
        return self.capture.days if self.capture else LONGEST_WINDOW_DAYS


class Retrain(Settings):
    """How a new version is trained from the recipe of the run that made the live one."""

    image: _Image
    """Container image that runs the recipe, in the target's region."""
    instance_type: _TrainingInstance = "ml.m5.large"
    """SageMaker instance type."""
    maximum_minutes: Annotated[int, Field(ge=1, le=40320)] = 60
    """Minutes after which the training is stopped."""
    metric: Metric = "accuracy"
    """Metric by which challenger, champion and the version before are compared; log_loss, rmse and mae are better when lower."""
    minimum_gain: Annotated[float, Field(ge=0)] = 0.0
    """How much better than the live version another must be to replace it, in units of the metric."""
    maximum_cohort_loss: Annotated[float | None, Field(ge=0)] = None
    """How much worse than the live version another may be in any cohort of the monitor, in units of the metric; absent: by any."""


class Reaction(Settings):
    """What happens by itself when monitoring finds something, at a set time, or when somebody starts it."""

    on: Annotated[tuple[Cause, ...], Field(strict=False, min_length=1)]
    """What starts the reaction."""
    do: Literal["retrain", "roll_back", "pause", "tell"]
    """What is done: train a new version and make the best one live; take the live version back; stop predictions, with the declared
    answer; or tell the owner alone."""
    schedule: ScheduleExpression | None = None
    """When it starts by itself, as EventBridge Scheduler writes it; with `on: [schedule]`."""
    time_zone: TimeZone = "Etc/UTC"
    """Time zone of the schedule."""
    promote: Literal["automatic", "after_review"] = "after_review"
    """Of a retraining: whether a better challenger goes live at once, or waits for a reviewer; a roll back waits for nobody."""
    review_hours: Annotated[int, Field(ge=1, le=720)] = 72
    """Hours that a challenger waits for its review, with a reminder after half of them; then it is left."""
    otherwise: Literal["keep", "pause"] = "keep"
    """Of a retraining: what happens where nothing better is at hand; the live version stays, or its predictions are stopped."""
    cool_down_hours: Annotated[int, Field(ge=0, le=8760)] = 24
    """Hours after a reaction in which none is started."""
    monthly_budget_usd: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    """US dollars that retrainings may take in a calendar month, by their price before; absent: any."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.reaction_rules)


class Promotion(Settings):
    """What a version must pass before it answers all requests."""

    canary_percents: Annotated[tuple[_Percent, ...], Field(strict=False, min_length=1, max_length=5)] = (10, 50)
    """Growing shares of the requests with which it is tried, one after the other."""
    step_minutes: Annotated[int, Field(ge=1, le=1440)] = 10
    """How long each share is watched at least."""
    longest_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """How long a share may wait for minimum_requests; then the version is taken back."""
    minimum_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Answers that it must have given at each share."""
    complete_runs: bool = True
    """Whether the record of the run that made it must be whole: all six parts."""
    second_person: bool = False
    """Whether somebody else than who made it must ask for its promotion."""
    newest_data_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    """How many days ago it may have been trained; absent: any time."""


class NextRuntime(Settings):
    """A second runtime, deployed beside the first, so that versions of both can be live, tried and rolled back."""

    flavour: Flavour
    """Flavour of MLflow that versions are logged with; that of the first runtime, or another."""
    requirements: _RequirementsFile
    """File with exact pins of all packages, from the folder of the team file; other ones than those of the first runtime."""


class Runtime(Settings):
    """What the model's server and its batches are made from, where that is not ONNX."""

    flavour: Flavour
    """Flavour of MLflow that versions are logged with. All but ONNX load code that stands in the model's files."""
    requirements: _RequirementsFile
    """File with exact pins of all packages, from the folder of the team file; versions are logged with the same."""
    next: NextRuntime | None = None
    """What versions are loaded with that were logged with other packages; absent: they are refused."""


class Model(Settings):
    """A model, from its delivery to its reaction."""

    name: Name
    """Name of the registered model."""
    business_owner: Email
    """Who hears about the model, besides the team's owner."""
    deliver: Annotated[tuple[Delivery, ...], Field(strict=False, min_length=1)]
    """The forms in which the model is delivered, each once."""
    runtime: Runtime | None = None
    """What runs its versions; absent: ONNX Runtime."""
    promotion: Promotion | None = None
    """What a version must pass before it answers all requests; absent: whoever may promote makes it live at once."""
    monitor: Monitor | None = None
    """What is watched; absent: nothing."""
    retrain: Retrain | None = None
    """How the model is retrained; absent: by hand only."""
    react: Annotated[tuple[Reaction, ...], Field(strict=False, max_length=5)] = ()
    """What happens by itself, each cause in one of them."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.model_rules)

    @property
    def api(self) -> OverHttp | None:
        """The delivery over HTTP; None where there is none."""
        return next((one for one in self.deliver if isinstance(one, OverHttp)), None)

    @property
    def batch(self) -> BatchDelivery | None:
        """The delivery in batches; None where there is none."""
        return next((one for one in self.deliver if isinstance(one, BatchDelivery)), None)

    @property
    def external(self) -> ExternalDelivery | None:
        """The delivery by what sends records; None where the model is served here."""
        return next((one for one in self.deliver if isinstance(one, ExternalDelivery)), None)

    @property
    def report(self) -> ReportDelivery | None:
        """The delivery by mail; None where there is none."""
        return next((one for one in self.deliver if isinstance(one, ReportDelivery)), None)

    @property
    def app(self) -> AppDelivery | None:
        """The delivery as a page with a form; None where there is none."""
        return next((one for one in self.deliver if isinstance(one, AppDelivery)), None)


class Team(Settings):
    """A team with everything that is deployed for it."""

    team: Name
    """Name of the team, and of the file."""
    owner: Email
    """Mail address that gets the team's notices."""
    cost_centre: TagValue
    """Cost centre, put on every resource as a tag."""
    target: Name
    """Name of the file in infra/targets that says in which account, region and network the team lives."""
    stage: Stage
    """production and staging retain all data when they are destroyed; sandbox gives up its table and key, and keeps its buckets."""
    compliance: Annotated[tuple[Compliance, ...], Field(strict=False)] = ()
    """Rule packs of cdk-nag that `labcycle check` holds against every stack of the team, besides those of best practice."""
    members: Annotated[tuple[Member, ...], Field(strict=False, min_length=1)]
    """The people of the team."""
    tracking: Tracking = Tracking()
    """The experiment log; every team has one."""
    workspaces: Workspaces | None = None
    """Machines to work on; absent: none."""
    compute: Compute | None = None
    """Machines for jobs such as sweeps; absent: none."""
    models: Annotated[tuple[Model, ...], Field(strict=False)] = ()
    """Models that are delivered."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.team_as_a_whole)

    @property
    def scores_batches(self) -> bool:
        """Whether any model is delivered in batches."""
        return any(model.batch for model in self.models)

    @property
    def logs_predictions(self) -> bool:
        """Whether the predictions of any model are kept."""
        return any(model.monitor and model.monitor.logs_predictions for model in self.models)

    @property
    def origin(self) -> Origin:
        """Where the team was read."""
        return self._origin

    def lock_of(self, model: Model) -> Lock | None:
        """What the server of a model is made from, as it was when the team was read; None where that is ONNX.

        Raises
        ------
        ConfigError
            If the team was not read from a file.
        """
        return self._lock(model, model.runtime.requirements, "requirements") if model.runtime else None

    def next_lock_of(self, model: Model) -> Lock | None:
        """That of the model's second runtime, as `lock_of`; None where there is none."""
        beside = model.runtime.next if model.runtime else None
        return self._lock(model, beside.requirements, "next", "requirements") if beside else None

    def _lock(self, model: Model, name: str, *place: str) -> Lock:
        text = self._origin.texts.get(name)
        if text is None:
            said = f"got {name} in a team that was not read from a file. Load the team with load_team"
            raise ConfigError([self._origin.problem(("models", self.models.index(model), "runtime", *place), said)])
        return Lock.read(text)

    def read_from(self, origin: Origin) -> Self:
        """The same team, with the places of its values."""
        copy: Any = self.model_copy()
        copy._origin = origin
        return copy  # type: ignore[no-any-return]
