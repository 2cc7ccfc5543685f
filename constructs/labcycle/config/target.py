"""The target file, as models: an account and region with its network and sign-in."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, StringConstraints, model_validator

from . import rules
from .origin import Origin
from .ruling import obey
from .vocabulary import AccountId, Allowed, InstanceTypeName, Name, Region, Settings

Egress = Literal["none", "nat"]

_Zone = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9-]+[0-9][a-z]$"), Allowed("an availability zone such as eu-west-1a")
]
_PermissionSet = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@-]{1,32}$"),
    Allowed("the name of a permission set, at most 32 letters, digits and _ + = , . @ -"),
]
_SamlProvider = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$"),
    Allowed("the name of a SAML provider of the account, not its ARN"),
]
_OidcProvider = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(/[A-Za-z0-9._~/-]+)?$", max_length=255),
    Allowed("the issuer's address without https://, such as login.example.com/tenant"),
]

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddClientIDToOpenIDConnectProvider.html
_OidcAudience = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._~:/@-]{1,255}$"),
    Allowed("the client id, at most 255 letters, digits and . _ ~ : / @ -"),
]
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
_VpcId = Annotated[
    str,
    StringConstraints(pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Allowed("the id of a VPC: vpc- and 8 or 17 of the digits 0 to 9 and a to f"),
]
_SubnetId = Annotated[
    str,
    StringConstraints(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Allowed("the id of a subnet: subnet- and 8 or 17 of the digits 0 to 9 and a to f"),
]
# https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
_Qualifier = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]{1,10}$"), Allowed("1 to 10 lower-case letters and digits")
]


class Network(Settings):
    """The network that the target's teams share: one that is made, or with `vpc_id` and `private_subnet_ids` one of your own."""

    # Part of tags, which have 256 characters at most: https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
    name: Annotated[Name, Field(max_length=128)]
    """Name under which the network's ids are published."""
    cidr: str = "10.0.0.0/16"
    """Address range of the network that is made, from /16 to /24. Not with a VPC of your own."""
    vpc_id: _VpcId | None = None
    """VPC of your own, in the target's account and region; absent: one is made. Needs `private_subnet_ids`."""
    private_subnet_ids: Annotated[tuple[_SubnetId, ...], Field(strict=False, min_length=2)] | None = None
    """Private subnets of your own VPC, one a zone, in the order of `zones`."""
    egress: Egress
    """How the network reaches the internet: none (nothing to pay, no workspaces) or nat (about 37 USD a month, and the traffic).

    Of a VPC of your own it says what is there, and nothing is made: nat when its private subnets have a way out."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.network_rules)


class SignIn(Settings):
    """Where members sign in; each is needed only by members who use it. IAM users need none."""

    identity_center_permission_set: _PermissionSet | None = None
    """Permission set of IAM Identity Center that members are assigned in the account."""
    saml_provider: _SamlProvider | None = None
    """Name of the account's SAML provider."""
    oidc_provider: _OidcProvider | None = None
    """Issuer of the account's OpenID Connect provider, without https://."""
    oidc_audience: _OidcAudience = "sts.amazonaws.com"
    """Client id for which the provider issues members' tokens (`aud`); those that it issues for others are refused."""


class Target(Settings):
    """An account and region that teams are deployed to."""

    # Part of a stack's name, which has 128 characters at most:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-parameters.html
    target: Annotated[Name, Field(max_length=104)]
    """Name of the target, and of the file."""
    account: AccountId
    """AWS account: 12 digits, in quotes."""
    region: Region
    """AWS region."""
    zones: Annotated[tuple[_Zone, ...], Field(strict=False, min_length=2, max_length=6)]
    """Availability zones of the network, at least two. They are never looked up, so that every synth gives the same."""
    network: Network
    """The shared network."""
    sign_in: SignIn = SignIn()
    """Where members sign in."""
    api_gateway_logs: Literal["made", "there"] | None = None
    """The role by which REST APIs of the account and region write their logs, which models with `consumers` need: `made` sets one
    for all of them; `there` where somebody else has set one. Absent: no model of the target has consumers."""
    bootstrap_qualifier: _Qualifier | None = None
    """Qualifier that the account and region were bootstrapped with (`cdk bootstrap --qualifier`); absent: the CDK's own."""
    quotas: Annotated[
        dict[str, Annotated[int, Field(ge=0, le=1_000_000_000)]],
        Field(json_schema_extra={"propertyNames": {"pattern": rules.QUOTA_CODE.pattern}}),
    ] = {}
    """What Service Quotas has given the account in this region beyond the defaults, by the quota's code."""

    instance_types: Annotated[tuple[InstanceTypeName, ...], Field(strict=False)] = ()
    """Instance types that the region has got since the catalogue of tiers was made."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obey(self, rules.target_as_a_whole)

    @property
    def origin(self) -> Origin:
        """Where the target was read."""
        return self._origin

    def read_from(self, origin: Origin) -> Self:
        """The same target, with the places of its values."""
        copy: Any = self.model_copy()
        copy._origin = origin
        return copy  # type: ignore[no-any-return]
