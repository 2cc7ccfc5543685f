"""What must hold between a team and its target, and among all teams and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .derived import DerivedName, team_names
from .hardware import JOB_FAMILIES
from .instance_types import families_in
from .problem import ConfigError, Path, Problem
from .regions import has_snap_start, regions_with
from .subjects import named_subjects
from .target import Target
from .team import ApiDelivery, EndpointDelivery, FargateDelivery, ServerlessDelivery, SnapStart, Team

_SIGN_IN_KEYS = {
    "identity_center": "identity_center_permission_set",
    "saml_subject": "saml_provider",
    "oidc_subject": "oidc_provider",
}


def check_together(team: Team, target: Target) -> None:
    """Refuse a team that cannot live in its target.

    Raises
    ------
    ConfigError
        With every problem; each has its place when the team was read from a file.
    """
    problems = list(problems_together(team, target))
    if problems:
        raise ConfigError(problems)


def problems_together(team: Team, target: Target) -> Iterator[Problem]:
    """Every reason why `team` cannot live in `target`."""
    if team.target != target.target:
        yield team.origin.problem(
            ("target",), f"got {team.target}, and was checked against the target {target.target}. Name the right target"
        )
    if team.workspaces is not None and target.network.egress == "none":
        yield team.origin.problem(
            ("workspaces",),
            f"got workspaces in the target {target.target}, whose network has egress: none; they would have no way to the tracking API. "
            f"Set network.egress: nat in the target, choose another target, or remove workspaces",
            on_key=True,
        )
    yield from _tiers_elsewhere(team, target)
    if team.compute is not None and target.network.egress == "none":
        yield team.origin.problem(
            ("compute",),
            f"got compute in the target {target.target}, whose network has egress: none; its machines would have no way to the tracking "
            "API and to the image. Set network.egress: nat in the target, choose another target, or remove compute",
            on_key=True,
        )
    if team.compute and team.compute.gpu and not families_in(target.region, JOB_FAMILIES["gpu"]):
        yield team.origin.problem(
            ("compute", "gpu"),
            f"got gpu in the target {target.target}, whose region {target.region} has none of the families {', '.join(JOB_FAMILIES['gpu'])}. "
            "Remove gpu, or choose a target in another region",
            on_key=True,
        )
    for i, model in enumerate(team.models):
        for j, deliver in enumerate(model.deliver):
            if isinstance(deliver, FargateDelivery | EndpointDelivery):
                yield from _no_containers(team, target, deliver, ("models", i, "deliver", j, "runtime"))
            snapshots = isinstance(deliver, ApiDelivery) and isinstance(deliver.start, SnapStart)
            if snapshots and not has_snap_start(target.region):
                yield team.origin.problem(
                    ("models", i, "deliver", j, "start", "mode"),
                    f"got snap_start in the target {target.target}, whose region {target.region} does not have it for Python. "
                    "Write mode: provisioned with a concurrency, remove start, or choose a target in another region",
                )
    for i, member in enumerate(team.members):
        needed = _SIGN_IN_KEYS.get(member.principal.kind)
        if needed and getattr(target.sign_in, needed) is None:
            yield team.origin.problem(
                ("members", i, "principal", member.principal.kind),
                f"got a member who signs in by {member.principal.kind}; the target {target.target} does not say where. "
                f"Add {needed}: under sign_in: in the target",
            )
    known: dict[tuple[str, str], str] = {}
    for url, subject, whom, path in named_subjects(team, target):
        first = known.setdefault((url, subject), whom)
        if first != whom:
            yield team.origin.problem(
                path,
                f"got {subject}, which is {first} at {url} already; allowed one member a person. Name the member's own subject",
            )
    yield from _consumers(team, target)
    images: list[tuple[Path, str, str]] = [
        (("models", i, "retrain", "image"), model.retrain.image, "SageMaker takes no other")
        for i, model in enumerate(team.models)
        if model.retrain is not None
    ]
    if team.compute is not None:
        images.append((("compute", "image"), team.compute.image, "jobs would pay to fetch it from elsewhere"))
    for path, image, why in images:
        if f".ecr.{target.region}.{_domain(target.region)}/" not in image:
            yield team.origin.problem(
                path,
                f"got {image}; allowed an image in {target.region}, the region of the target: {why}. Push the image there",
            )
    for name in team_names(team, target):
        if len(name.text) > name.limit:
            yield team.origin.problem(name.path, _too_long(name))


def _tiers_elsewhere(team: Team, target: Target) -> Iterator[Problem]:
    """Tiers whose instances the target's region does not have."""
    if team.workspaces is None:
        return
    catalogue = len(team.workspaces.tiers)
    for i, tier in enumerate(team.workspaces.hardware):
        if tier.machine.is_in(target.region) or tier.instance_type in target.instance_types:
            continue
        own = i >= catalogue
        path = ("own_tiers", i - catalogue, "instance_type") if own else ("tiers", i)
        got = tier.instance_type if own else f"{tier.name}, which is {tier.instance_type},"
        yield team.origin.problem(
            ("workspaces", *path),
            f"got {got} in the target {target.target}, whose region {target.region} does not have it. `labcycle tiers --region "
            f"{target.region}` lists those that it has; if AWS offers it there by now, add {tier.instance_type} to instance_types of the target",
        )


def _no_containers(
    team: Team, target: Target, deliver: FargateDelivery | EndpointDelivery, place: tuple[str | int, ...]
) -> Iterator[Problem]:
    runtime, what = deliver.runtime, "tasks" if isinstance(deliver, FargateDelivery) else "instances"
    if target.network.egress == "none" and not isinstance(deliver, ServerlessDelivery):  # which are in no network
        yield team.origin.problem(
            place,
            f"got {runtime} in the target {target.target}, whose network has egress: none; its {what} would have no way to "
            f"images and logs. Set network.egress: nat in the target, choose another target, or write runtime: lambda",
        )
    needed = {"codebuild": f"CodeBuild, which builds the image of its {what}"}
    if isinstance(deliver, EndpointDelivery):
        needed |= {"runtime.sagemaker": "SageMaker, which runs its endpoint"}
    for service, name in needed.items():
        if target.region not in regions_with(service):
            yield team.origin.problem(
                place,
                f"got {runtime} in the target {target.target}, whose region {target.region} has no {name}. "
                "Choose a target in another region, or write runtime: lambda",
            )


def _consumers(team: Team, target: Target) -> Iterator[Problem]:
    for i, model in enumerate(team.models):
        for j, deliver in enumerate(model.deliver):
            consumers = deliver.consumers if isinstance(deliver, ApiDelivery) else ()
            place = ("models", i, "deliver", j, "consumers")
            if consumers and target.api_gateway_logs is None:
                yield team.origin.problem(
                    place,
                    f"got consumers in the target {target.target}, which does not say how REST APIs write their logs; API Gateway "
                    "refuses them without a role for it. Set api_gateway_logs: made in the target, or there where the account "
                    "has such a role",
                    on_key=True,
                )
            for k, consumer in enumerate(consumers):
                if consumer.principal == target.account:
                    yield team.origin.problem(
                        (*place, k, "principal"),
                        f"got {consumer.principal}, the target's own account; allowed a role of it, or another account, since "
                        "within an account whoever may invoke everything could come as this consumer. Name the role that signs",
                    )


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def problems_among(
    teams: Sequence[Team], by_name: Mapping[str, Target], targets: Sequence[Target]
) -> Iterator[Problem]:
    """Everything that several teams or targets cannot have at once."""
    yield from _duplicates(teams, "team")
    yield from _duplicates(targets, "target")
    networks: dict[tuple[str, str, str], Target] = {}
    for target in targets:
        first = networks.setdefault((target.account, target.region, target.network.name), target)
        if first.target != target.target:
            yield target.origin.problem(
                ("network", "name"),
                f"got {target.network.name}, the network of the target {first.target} in the same account and region already. Choose another name",
            )
    yield from _prefixes([(team, by_name[team.target]) for team in teams if team.target in by_name])


def _prefixes(placed: Sequence[tuple[Team, Target]]) -> Iterator[Problem]:
    """Teams whose names begin with that of another one: its boundary and grants, `labcycle-<team>-*`, would hold theirs too."""
    for team, target in placed:
        for other, others_target in placed:
            if target.account == others_target.account and team.team.startswith(f"{other.team}-"):
                yield team.origin.problem(
                    ("team",),
                    f"got {team.team}, which begins with the name of the team {other.team} in the same account; allowed names that do not, "
                    f"since what is named labcycle-{other.team}-... belongs to that team. Choose another name",
                )


def _duplicates(settings: Sequence[Team] | Sequence[Target], key: str) -> Iterator[Problem]:
    first: dict[str, Team | Target] = {}
    for one in settings:
        name = getattr(one, key)
        earlier = first.setdefault(name, one)
        if earlier is not one:
            yield one.origin.problem(
                (key,),
                f"got {name}, which {earlier.origin.file} is already; allowed one file a {key}. Rename or remove one",
            )


def _too_long(name: DerivedName) -> str:
    longest = name.limit - (len(name.text) - len(name.part))
    mend = f"Use a name of at most {longest} characters" if longest > 0 else "Shorten the team's name first"
    return (
        f"got {name.part} ({len(name.part)} characters); it makes the {name.kind} {name.text}, of {len(name.text)} characters; "
        f"AWS allows {name.limit}. {mend}"
    )
