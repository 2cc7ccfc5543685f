"""How much of each quota of an account the stacks need together, and which quota breaks first.

CloudFormation says that a quota is reached in the middle of a deployment, and of machines only when somebody starts one.
What an account has beyond AWS's defaults is said by the metadata of any of its templates:

```
Metadata:
  labcycle:quotas: {L-DB2E81BA: 64}
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle.config import instance_types, names

from .estate import Estate
from .finding import CheckError
from .template import Template

QUOTAS_AS_OF = "2026-11"

# What an estate needs of a quota, from the templates of one account, or of one region of it.
Need = Callable[[Estate, Sequence[Template]], float]


@dataclass(frozen=True)
class Quota:
    """What AWS lets an account have until it is asked for more.

    Parameters
    ----------
    code
        In Service Quotas, by which more is asked for; empty where the quota is fixed or not listed there.
    default
        Of an account; the region's may be lower where `url` says so.
    everywhere
        For the account as a whole, not for each region.
    kept_free
        What AWS keeps of it for other things.
    """

    name: str
    code: str
    default: float
    needed: Need
    url: str
    everywhere: bool = False
    kept_free: float = 0


@dataclass(frozen=True)
class Use:
    """What is needed of a quota in an account and region (`global` for the account as a whole).

    Parameters
    ----------
    given
        What the account has of it; None: the default.
    """

    account: str
    region: str
    quota: Quota
    needed: float
    given: float | None = None

    @property
    def limit(self) -> float:
        """What may be used."""
        return max(0, (self.quota.default if self.given is None else self.given) - self.quota.kept_free)

    @property
    def source(self) -> str:
        """Whose figure the limit is: `yours` or `default`."""
        return "default" if self.given is None else "yours"

    @property
    def share(self) -> float:
        """Of the limit; infinite where the limit is 0."""
        return self.needed / self.limit if self.limit else float("inf")

    @property
    def breaks(self) -> bool:
        return self.needed > self.limit


def capacity(estate: Estate) -> list[Use]:
    """Every quota of which something is needed, the fullest first."""
    accounts: dict[str, list[Template]] = defaultdict(list)
    regions: dict[tuple[str, str], list[Template]] = defaultdict(list)
    for template in estate.templates:
        accounts[estate.account(template)].append(template)
        regions[estate.account(template), estate.region(template)].append(template)
    uses = [
        Use(account, "global", quota, quota.needed(estate, templates), _given(templates).get(quota.code))
        for account, templates in accounts.items()
        for quota in QUOTAS
        if quota.everywhere
    ] + [
        Use(account, region, quota, quota.needed(estate, templates), _given(templates).get(quota.code))
        for (account, region), templates in regions.items()
        for quota in QUOTAS
        if not quota.everywhere
    ]
    return sorted(
        (use for use in uses if use.needed), key=lambda use: (-use.share, use.account, use.region, use.quota.name)
    )


def unknown_codes(estate: Estate) -> list[str]:
    """Codes of quotas that templates speak of and that are not in `QUOTAS`: nothing is counted against them."""
    return sorted(set(_given(estate.templates)) - {quota.code for quota in QUOTAS})


def _given(templates: Iterable[Template]) -> dict[str, float]:
    """What templates say that their account has, by code: the least, where they do not agree."""
    found: dict[str, float] = {}
    for template in templates:
        metadata = template.body.get("Metadata")
        quotas = metadata.get(names.QUOTAS_METADATA, {}) if isinstance(metadata, Mapping) else {}
        if not isinstance(quotas, Mapping) or not all(
            isinstance(value, int | float) and value >= 0 for value in quotas.values()
        ):
            raise CheckError(
                f"{template.name}: Metadata.{names.QUOTAS_METADATA}: got {quotas!r}; allowed a mapping of quotas' codes to numbers"
            )
        for code, value in quotas.items():
            found[code] = min(value, found.get(code, value))
    return found


def as_text(uses: Sequence[Use], unknown: Sequence[str] = ()) -> str:
    """A table for people, what it does not cover, and a last line that names the first quota that breaks, or that would.

    Parameters
    ----------
    unknown
        Codes of quotas that were given and of which nothing is known.
    """
    rows = [("account", "region", "quota", "needed", "limit", "whose", "share", "code")]
    for use in uses:
        share = "over" if use.breaks else f"{use.share:.0%}"
        figures = (f"{use.needed:,.0f}", f"{use.limit:,.0f}", use.source, share, use.quota.code or "fixed")
        rows.append((use.account, use.region, use.quota.name, *figures))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"default quotas of {QUOTAS_AS_OF}; what an account has beyond them, its target file says under quotas"]
    if unknown:
        notes.append(f"given, and not counted here: {', '.join(unknown)}. Take codes from this table, or remove them")
    return "\n".join([*lines, "", *notes, _first(uses)])


def as_document(uses: Sequence[Use], unknown: Sequence[str] = ()) -> dict[str, Any]:
    """The same for programs."""
    return {
        "quotas_as_of": QUOTAS_AS_OF,
        "breaks": any(use.breaks for use in uses),
        "unknown_codes": list(unknown),
        "uses": [
            {
                "account": use.account,
                "region": use.region,
                "quota": use.quota.name,
                "code": use.quota.code,
                "needed": use.needed,
                "limit": use.limit,
                "whose": use.source,
                "breaks": use.breaks,
                "source": use.quota.url,
            }
            for use in uses
        ],
    }


def _first(uses: Sequence[Use]) -> str:
    if not uses:
        return "nothing here needs a quota"
    use = uses[0]
    place = f"{use.quota.name} in {use.account} {use.region}"
    if use.breaks:
        more = use.needed + use.quota.kept_free
        ask = f"Ask for {more:,.0f} by Service Quotas {use.quota.code}" if use.quota.code else "It is fixed"
        limit = f"{use.limit:,.0f} {'by default' if use.given is None else 'of yours'}"
        return f"the first quota that breaks: {place}: {use.needed:,.0f} needed, {limit}. {ask}"
    return f"no quota breaks; the first that would is {place}, at {1 / use.share:.1f} times as much as this"


def _count(*types: str) -> Need:
    def needed(estate: Estate, templates: Sequence[Template]) -> float:
        return sum(1 for template in templates for _ in template.resources(*types))

    return needed


def _fullest(types: tuple[str, ...], group: Callable[[Estate, Template, str], str]) -> Need:
    """The largest number of resources that share something, such as a bus or a zone."""

    def needed(estate: Estate, templates: Sequence[Template]) -> float:
        groups: dict[str, int] = defaultdict(int)
        for template in templates:
            for logical_id, _ in template.resources(*types):
                groups[group(estate, template, logical_id)] += 1
        return max(groups.values(), default=0)

    return needed


def _bus(estate: Estate, template: Template, logical_id: str) -> str:
    return estate.text(template, template.properties(logical_id).get("EventBusName", "default"))


def _subnet(estate: Estate, template: Template, logical_id: str) -> str:
    """The zone of a NAT gateway, by its subnet."""
    subnet = template.properties(logical_id).get("SubnetId")
    reference = subnet.get("Ref", "") if isinstance(subnet, dict) else ""
    return estate.text(template, template.properties(str(reference)).get("AvailabilityZone", reference))


def _total(types: tuple[str, ...], *path: str) -> Need:
    """The sum of a number in resources of these types."""

    def needed(estate: Estate, templates: Sequence[Template]) -> float:
        return sum(_numbers(estate, templates, types, path))

    return needed


def _numbers(
    estate: Estate, templates: Iterable[Template], types: tuple[str, ...], path: tuple[str, ...]
) -> Iterable[float]:
    for template in templates:
        for logical_id, _ in template.resources(*types):
            value: Any = estate.value(template, dict(template.properties(logical_id)))
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            yield _number(value)


def _number(value: Any) -> float:
    try:
        return float(value) if value is not None else 0.0
    except (TypeError, ValueError):
        return 0.0


def _concurrency(estate: Estate, templates: Sequence[Template]) -> float:
    """What functions keep for themselves: what is reserved, and what of the others is provisioned."""
    kept = 0.0
    for template in templates:
        ahead: dict[str, float] = defaultdict(float)
        for logical_id, _ in template.resources("AWS::Lambda::Alias"):
            properties = template.properties(logical_id)
            function = properties.get("FunctionName")
            config = properties.get("ProvisionedConcurrencyConfig")
            if isinstance(function, Mapping) and isinstance(config, Mapping):
                ahead[str(function.get("Ref"))] += _number(config.get("ProvisionedConcurrentExecutions"))
        for logical_id, _ in template.resources("AWS::Lambda::Function"):
            reserved = estate.value(template, template.properties(logical_id).get("ReservedConcurrentExecutions"))
            kept += ahead[logical_id] if reserved is None else _number(reserved)
    return kept


def _vcpus(*families: str) -> Need:
    """vCPUs of one running workspace a member, of the largest tier of these families that the member may start."""

    def needed(estate: Estate, templates: Sequence[Template]) -> float:
        largest: dict[str, int] = defaultdict(int)
        for template in templates:
            for logical_id, _ in template.resources("AWS::EC2::LaunchTemplate"):
                data = estate.value(template, template.properties(logical_id).get("LaunchTemplateData", {}))
                instance = str(data.get("InstanceType", ""))
                owner = str(data.get("IamInstanceProfile", logical_id))
                known = instance_types().get(instance)
                if known and instance.startswith(families):
                    largest[owner] = max(largest[owner], known.vcpus)
        return sum(largest.values()) + _of_jobs("EC2", families)(estate, templates)

    return needed


def _of_jobs(market: str, families: tuple[str, ...]) -> Need:
    """vCPUs of all machines for jobs at once, on demand (`EC2`) or on spot (`SPOT`)."""

    def needed(estate: Estate, templates: Sequence[Template]) -> float:
        found = 0.0
        for template in templates:
            for logical_id, _ in template.resources("AWS::Batch::ComputeEnvironment"):
                machines = estate.value(template, template.properties(logical_id).get("ComputeResources", {}))
                types = [str(one) for one in machines.get("InstanceTypes", ())]
                if machines.get("Type") == market and any(one.startswith(families) for one in types):
                    found += float(machines.get("MaxvCpus", 0))
        return found

    return needed


_STANDARD = ("m", "r", "c", "t")
_GENERAL = "https://docs.aws.amazon.com/general/latest/gr/"
_EC2 = "https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"
_VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
_API = "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"

QUOTAS: tuple[Quota, ...] = (
    Quota("IAM roles", "L-FE177D64", 1_000, _count("AWS::IAM::Role"), _IAM, everywhere=True),
    Quota(
        "IAM customer managed policies", "L-E95E4862", 1_500, _count("AWS::IAM::ManagedPolicy"), _IAM, everywhere=True
    ),
    Quota("IAM instance profiles", "L-6E65F664", 1_000, _count("AWS::IAM::InstanceProfile"), _IAM, everywhere=True),
    Quota("S3 buckets", "L-DC2B2D3D", 10_000, _count("AWS::S3::Bucket"), f"{_GENERAL}s3.html", everywhere=True),
    Quota("CloudFormation stacks", "L-0485CB21", 2_000, lambda _, templates: len(templates), f"{_GENERAL}cfn.html"),
    Quota(
        "Lambda reserved and provisioned concurrency, 100 staying free",
        "L-B99A9384",
        1_000,  # new accounts have less
        _concurrency,
        _LAMBDA,
        kept_free=100,
    ),
    Quota("HTTP and REST APIs", "", 600, _count("AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"), _API),
    Quota(
        "API requests a second, all stages at their throttle",
        "L-8A5B8E43",
        10_000,  # 2,500 in newer regions
        _total(("AWS::ApiGatewayV2::Stage",), "DefaultRouteSettings", "ThrottlingRateLimit"),
        _API,
    ),
    Quota("API Gateway VPC links", "L-608BDCD4", 10, _count("AWS::ApiGatewayV2::VpcLink"), _API),
    Quota("DynamoDB tables", "L-F98FE922", 2_500, _count("AWS::DynamoDB::Table"), f"{_GENERAL}ddb.html"),
    Quota("KMS keys", "L-C2F1777E", 100_000, _count("AWS::KMS::Key"), f"{_GENERAL}kms.html"),
    Quota("CloudWatch alarms", "", 5_000, _count("AWS::CloudWatch::Alarm"), f"{_GENERAL}cw_region.html"),
    Quota(
        "saved queries of CloudWatch Logs Insights",
        "",
        1_000,
        _count("AWS::Logs::QueryDefinition"),
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html",
    ),
    Quota(
        "CloudWatch Logs resource policies",
        "",
        10,
        _count("AWS::Logs::ResourcePolicy"),
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html",
    ),
    Quota("event buses", "", 100, _count("AWS::Events::EventBus"), f"{_GENERAL}ev.html"),
    Quota(
        "rules on one event bus",
        "L-244521F2",
        300,
        _fullest(("AWS::Events::Rule",), _bus),
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html",
    ),
    Quota(
        "Step Functions state machines",
        "",
        10_000,
        _count("AWS::StepFunctions::StateMachine"),
        "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
    ),
    Quota("SSM standard parameters", "", 10_000, _count("AWS::SSM::Parameter"), f"{_GENERAL}ssm.html"),
    Quota("EC2 launch templates", "", 5_000, _count("AWS::EC2::LaunchTemplate"), f"{_GENERAL}ec2-service.html"),
    Quota("VPCs", "L-F678F1CE", 5, _count("AWS::EC2::VPC"), _VPC),
    Quota("internet gateways", "L-A4707A72", 5, _count("AWS::EC2::InternetGateway"), _VPC),
    Quota("NAT gateways in one zone", "L-FE5A380F", 5, _fullest(("AWS::EC2::NatGateway",), _subnet), _VPC),
    Quota("Elastic IP addresses", "L-0263D0A3", 5, _count("AWS::EC2::EIP"), _VPC),
    Quota("gateway endpoints", "L-1B52E74A", 20, _count("AWS::EC2::VPCEndpoint"), _VPC),
    Quota("security groups", "L-E79EC296", 2_500, _count("AWS::EC2::SecurityGroup"), _VPC),
    Quota("vCPUs of standard instances, a workspace a member and jobs", "L-1216C47A", 5, _vcpus(*_STANDARD), _EC2),
    Quota("vCPUs of G instances, a workspace a member and jobs", "L-DB2E81BA", 0, _vcpus("g"), _EC2),
    Quota("vCPUs of P instances, a workspace a member", "L-417A185B", 0, _vcpus("p"), _EC2),
    Quota("vCPUs of Inf instances, a workspace a member", "L-1945791B", 0, _vcpus("inf"), _EC2),
    Quota("vCPUs of Trn instances, a workspace a member", "L-2C3B7624", 0, _vcpus("trn"), _EC2),
    Quota("vCPUs of X instances, a workspace a member", "L-7295265B", 0, _vcpus("x"), _EC2),
    Quota("vCPUs of standard spot instances, jobs", "L-34B43A08", 5, _of_jobs("SPOT", _STANDARD), _EC2),
    Quota("vCPUs of G spot instances, jobs", "L-3819A6DF", 0, _of_jobs("SPOT", ("g",)), _EC2),
    Quota("Batch compute environments", "", 50, _count("AWS::Batch::ComputeEnvironment"), f"{_GENERAL}batch.html"),
    Quota("Batch job queues", "", 50, _count("AWS::Batch::JobQueue"), f"{_GENERAL}batch.html"),
)
