"""What a team and its target, and all teams, cannot have at once; and names too long for AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.config import (
    ConfigError,
    Member,
    Principal,
    Target,
    Team,
    check_together,
    load_all,
    load_target,
    load_team,
    names,
    subjects_of,
)
from labcycle.config.derived import BUCKET_LIMIT, ROLE_LIMIT, team_names
from tests.unit.config.files import TARGET, TEAM, bent, line_of, written

EU = Target.model_validate(
    {
        "target": "eu",
        "account": "123456789012",
        "region": "eu-west-1",
        "zones": ["eu-west-1a", "eu-west-1b"],
        "network": {"name": "n", "egress": "none"},
    }
)


def together(folder: Path, team_changes: list[tuple[str, str]], target_changes: list[tuple[str, str]]) -> str:
    team = load_team(written(folder, "fraud.yaml", bent(TEAM, *team_changes)))
    target = load_target(written(folder, "eu-production.yaml", bent(TARGET, *target_changes)))
    with pytest.raises(ConfigError) as caught:
        check_together(team, target)
    (problem,) = caught.value.problems
    return str(problem).removeprefix(str(folder / "fraud.yaml"))


def team_of(name: str, *members: str, models: tuple[str, ...] = (), workspaces: bool = False) -> Team:
    people = [
        Member(name=member, principal=Principal(iam_user=f"u-{i}"), roles=("data_scientist",))
        for i, member in enumerate(members)
    ]
    return Team.model_validate(
        {
            "team": name,
            "owner": "o@example.com",
            "cost_centre": "c",
            "target": "eu",
            "stage": "sandbox",
            "members": people,
            "workspaces": {"tiers": ["gpu-small"]} if workspaces else None,
            "models": [
                {"name": model, "business_owner": "b@example.com", "deliver": [{"form": "api", "runtime": "lambda"}]}
                for model in models
            ],
        }
    )


def test_a_team_and_its_target_that_fit_are_accepted(tmp_path: Path) -> None:
    check_together(
        load_team(written(tmp_path, "fraud.yaml", TEAM)), load_target(written(tmp_path, "eu-production.yaml", TARGET))
    )


CLOSED = {"network": {"name": "n", "egress": "none"}}
WITHOUT_BUILDS = {"region": "ap-east-2", "zones": ["ap-east-2a", "ap-east-2b"]}


@pytest.mark.parametrize(
    ("form", "target", "told"),
    [
        ({"runtime": "fargate"}, CLOSED, "whose network has egress: none; its tasks"),
        ({"runtime": "fargate"}, WITHOUT_BUILDS, "ap-east-2 has no CodeBuild, which builds the image of its tasks"),
        ({"runtime": "sagemaker", "mode": "real_time"}, CLOSED, "whose network has egress: none; its instances"),
        ({"runtime": "sagemaker", "mode": "real_time"}, WITHOUT_BUILDS, "has no CodeBuild"),
        ({"runtime": "sagemaker", "mode": "serverless"}, WITHOUT_BUILDS, "has no CodeBuild"),
        ({"runtime": "sagemaker", "mode": "asynchronous"}, CLOSED, "whose network has egress: none; its instances"),
    ],
)
def test_containers_need_a_way_out_and_codebuild(form: dict[str, str], target: dict[str, Any], told: str) -> None:
    team = containers(form)
    wide = {**EU.model_dump(), "network": {"name": "n", "egress": "nat"}}
    check_together(team, Target.model_validate(wide))
    with pytest.raises(ConfigError) as caught:
        check_together(team, Target.model_validate({**wide, **target}))
    (problem,) = caught.value.problems
    assert problem.path == "models[0].deliver[0].runtime"
    assert told in problem.message


def test_a_region_without_sagemaker_has_no_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that have CodeBuild have it, as botocore knows."""
    monkeypatch.setattr(
        "labcycle.config.together.regions_with", lambda service: {EU.region} if service == "codebuild" else set()
    )
    with pytest.raises(ConfigError, match="has no SageMaker, which runs its endpoint"):
        check_together(containers({"runtime": "sagemaker", "mode": "serverless"}), EU)


def test_a_serverless_endpoint_needs_no_network() -> None:
    closed = {**EU.model_dump(), **CLOSED}
    check_together(containers({"runtime": "sagemaker", "mode": "serverless"}), Target.model_validate(closed))


@pytest.mark.parametrize(
    ("region", "has"),
    [
        ("eu-west-1", True),
        ("ap-east-2", False),
        ("ap-southeast-6", False),
        ("cn-north-1", False),
        ("us-gov-west-1", False),
    ],
)
def test_snapshots_are_made_where_lambda_makes_them(region: str, has: bool) -> None:
    team = containers({"runtime": "lambda", "start": {"mode": "snap_start"}})
    place = Target.model_validate({**EU.model_dump(), "region": region, "zones": [f"{region}a", f"{region}b"]})
    if has:
        check_together(team, place)
        return
    with pytest.raises(ConfigError, match=rf"start\.mode: got snap_start .* region {region} does not have it"):
        check_together(team, place)
    check_together(containers({"runtime": "lambda", "start": {"mode": "provisioned", "concurrency": 1}}), place)


def containers(form: dict[str, Any]) -> Team:
    model = {"name": "cards", "business_owner": "b@example.com", "deliver": [{"form": "api"} | form]}
    return Team.model_validate({**team_of("fraud", "ann", models=("cards",)).model_dump(), "models": [model]})


def test_workspaces_without_a_way_to_the_tracking_api_are_refused(tmp_path: Path) -> None:
    said = together(tmp_path, [], [("egress: nat", "egress: none")])
    assert said.startswith(f":{line_of(TEAM, 'workspaces:')}:1: workspaces: ")
    assert "no way to the tracking API" in said and "Set network.egress: nat" in said


COMPUTE = ("workspaces:\n", "compute:\n  image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/jobs:1\nworkspaces:\n")


def test_jobs_need_a_way_to_the_tracking_api_and_an_image_of_the_region(tmp_path: Path) -> None:
    alone = [("workspaces:\n  tiers: [gpu-small]\n  volume_gib: 100\n", COMPUTE[1].removesuffix("workspaces:\n"))]
    said = together(tmp_path, alone, [("egress: nat", "egress: none")])
    assert ": compute: " in said and "no way to the tracking API" in said and "Set network.egress: nat" in said
    said = together(tmp_path, [COMPUTE, ("eu-west-1.amazonaws.com/jobs", "us-east-1.amazonaws.com/jobs")], [])
    assert ": compute.image: " in said and "allowed an image in eu-west-1" in said


def test_a_network_without_egress_is_fine_without_workspaces() -> None:
    check_together(team_of("fraud", "ada"), EU)


@pytest.mark.parametrize(
    ("principal", "key"),
    [
        ("identity_center: ada@example.com", "identity_center_permission_set"),
        ("saml_subject: ada", "saml_provider"),
        ("oidc_subject: ada", "oidc_provider"),
    ],
)
def test_a_member_whose_sign_in_the_target_does_not_name_is_refused(tmp_path: Path, principal: str, key: str) -> None:
    changes = [("identity_center: scientist-1@example.com", principal)]
    said = together(tmp_path, changes, [("sign_in:\n  identity_center_permission_set: labcycle-member\n", "")])
    assert "members[0].principal." in said and f"Add {key}: under sign_in:" in said


def test_a_training_image_of_another_region_is_refused(tmp_path: Path) -> None:
    said = together(tmp_path, [("ecr.eu-west-1.", "ecr.us-east-1.")], [])
    assert "models[0].retrain.image" in said and "allowed an image in eu-west-1" in said


@pytest.mark.parametrize(
    ("region", "image", "fits"),
    [
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/training:1", True),
        ("cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com/training:1", False),
        ("eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn/training:1", False),
    ],
)
def test_a_registry_is_where_its_region_has_it(tmp_path: Path, region: str, image: str, fits: bool) -> None:
    target = load_target(written(tmp_path, "eu-production.yaml", TARGET.replace("eu-west-1", region)))
    changes = ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1", image)
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, changes)))
    if fits:
        check_together(team, target)
        return
    with pytest.raises(ConfigError, match=rf"retrain\.image: .*allowed an image in {region}"):
        check_together(team, target)


def test_the_wrong_target_is_refused(tmp_path: Path) -> None:
    team = load_team(written(tmp_path, "fraud.yaml", TEAM))
    with pytest.raises(ConfigError, match="was checked against the target eu"):
        check_together(team, EU)


def test_configuration_made_in_python_is_told_without_a_place() -> None:
    with pytest.raises(ConfigError, match=r"^workspaces: got workspaces in the target eu"):
        check_together(team_of("fraud", "ada", workspaces=True), EU)


@given(length=st.integers(1, 40))
def test_a_team_is_refused_exactly_when_its_bucket_would_be_too_long(length: int) -> None:
    team = team_of("t" * length, "a")
    longest = BUCKET_LIMIT - len(names.bucket("", "artifacts", EU.account, EU.region))
    if length <= longest:
        check_together(team, EU)
        return
    with pytest.raises(ConfigError, match=f"AWS allows 63. Use a name of at most {longest} characters"):
        check_together(team, EU)


@given(length=st.integers(1, 64), workspaces=st.booleans())
def test_a_member_is_refused_exactly_when_a_role_would_be_too_long(length: int, workspaces: bool) -> None:
    target = EU.model_copy(update={"network": EU.network.model_copy(update={"egress": "nat"})})
    team = team_of("fraud", "m" * length, workspaces=workspaces)
    role = names.workspace_role if workspaces else names.member_role
    longest = ROLE_LIMIT - len(role("fraud", ""))
    if length <= longest:
        check_together(team, target)
        return
    with pytest.raises(ConfigError, match=f"AWS allows 64. Use a name of at most {longest} characters"):
        check_together(team, target)


def test_a_team_whose_name_leaves_no_room_for_a_member_is_what_is_to_be_shortened() -> None:
    with pytest.raises(ConfigError, match=r"members\[0\]\.name: .*AWS allows 64\. Shorten the team's name first"):
        check_together(team_of("t" * 60, "ada"), EU)


def test_a_model_is_refused_when_its_stack_would_be_too_long() -> None:
    with pytest.raises(ConfigError, match=r"models\[0\]\.name: .*; it makes the stack .*AWS allows 128"):
        check_together(team_of("fraud", "ada", models=("m" * 120,)), EU)


@pytest.mark.parametrize(("length", "fits"), [(35, True), (36, False)])
def test_a_model_is_refused_exactly_when_its_training_jobs_would_be_too_long(
    tmp_path: Path, length: int, fits: bool
) -> None:
    name = "m" * length
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, ("name: card-fraud", f"name: {name}"))))
    target = load_target(written(tmp_path, "eu-production.yaml", TARGET))
    assert (len(names.training_job_prefix("fraud", name)) + 12 <= 63) == fits
    if fits:
        check_together(team, target)
        return
    with pytest.raises(
        ConfigError, match=r"makes the training job .*AWS allows 63. Use a name of at most 35 characters"
    ):
        check_together(team, target)


def test_the_derived_names_are_those_of_the_names_module() -> None:
    found = {name.text for name in team_names(team_of("fraud", "ada", models=("m",), workspaces=True), EU)}
    assert {
        names.bucket("fraud", "artifacts", "123456789012", "eu-west-1"),
        names.ledger_table("fraud"),
        names.member_role("fraud", "ada"),
        names.workspace_role("fraud", "ada"),
        "labcycle-fraud-model-m",
    } <= found


def folders(root: Path, teams: dict[str, str], targets: dict[str, str]) -> tuple[Path, Path]:
    for name, text in teams.items():
        written(root / "teams", f"{name}.yaml", text)
    for name, text in targets.items():
        written(root / "targets", f"{name}.yaml", text)
    return root / "teams", root / "targets"


def test_a_team_whose_name_begins_with_that_of_another_is_refused(tmp_path: Path) -> None:
    teams = {name: bent(TEAM, ("team: fraud", f"team: {name}")) for name in ("a", "a-b", "ab")}
    with pytest.raises(ConfigError) as caught:
        load_all(*folders(tmp_path, teams, {"eu-production": TARGET}))
    (problem,) = caught.value.problems
    assert Path(problem.file).name == "a-b.yaml" and problem.path == "team"
    assert "begins with the name of the team a in the same account" in problem.message


def test_names_in_different_accounts_do_not_meet(tmp_path: Path) -> None:
    other = bent(TARGET, ("target: eu-production", "target: eu-other"), ("123456789012", "210987654321"))
    teams = {
        "a": bent(TEAM, ("team: fraud", "team: a")),
        "a-b": bent(TEAM, ("team: fraud", "team: a-b"), ("eu-production", "eu-other")),
    }
    loaded, _ = load_all(*folders(tmp_path, teams, {"eu-production": TARGET, "eu-other": other}))
    assert [team.team for team in loaded] == ["a", "a-b"]


def test_two_targets_with_the_same_network_are_refused(tmp_path: Path) -> None:
    other = bent(TARGET, ("target: eu-production", "target: eu-other"))
    with pytest.raises(
        ConfigError, match=r"network\.name: got shared, the network of the target eu-other in the same account"
    ):
        load_all(*folders(tmp_path, {"fraud": TEAM}, {"eu-production": TARGET, "eu-other": other}))


def test_the_same_network_name_in_another_region_is_fine(tmp_path: Path) -> None:
    other = bent(TARGET, ("target: eu-production", "target: eu-other")).replace("eu-west-1", "eu-west-2")
    teams, targets = load_all(*folders(tmp_path, {"fraud": TEAM}, {"eu-production": TARGET, "eu-other": other}))
    assert len(teams) == 1 and len(targets) == 2


def test_where_a_team_was_read_does_not_make_it_another_team(tmp_path: Path) -> None:
    one = load_team(written(tmp_path / "one", "fraud.yaml", TEAM))
    other = load_team(written(tmp_path / "other", "fraud.yaml", "# moved\n" + TEAM))
    assert one == other and one.origin.file != other.origin.file


ISSUERS = """\
  artifact_retention_days: 3650
  issuers:
    - {name: company, url: https://login.example.com/t, audience: labcycle}
    - {name: partner, url: https://partner.example.com, audience: lab}
"""


def test_a_token_stands_for_the_member_whom_the_files_name(tmp_path: Path) -> None:
    changes = [
        ("  artifact_retention_days: 3650\n", ISSUERS),
        ("identity_center: scientist-1@example.com", "oidc_subject: s-1"),
        (
            "roles: [reviewer, lead]",
            "roles: [lead]\n    tokens: [{issuer: company, subject: r-1}, {issuer: partner, subject: s-1}]",
        ),
    ]
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, *changes)))
    sign_in = bent(TARGET, ("sign_in:\n", "sign_in:\n  oidc_provider: login.example.com/t\n"))
    target = load_target(written(tmp_path, "eu-production.yaml", sign_in))
    check_together(team, target)
    assert subjects_of(team, target) == {
        "https://login.example.com/t": {"s-1": "scientist-1", "r-1": "reviewer-1"},
        "https://partner.example.com": {"s-1": "reviewer-1"},
    }


def test_one_token_cannot_stand_for_two_members(tmp_path: Path) -> None:
    changes = [
        ("  artifact_retention_days: 3650\n", ISSUERS),
        ("identity_center: scientist-1@example.com", "oidc_subject: s-1"),
        ("roles: [reviewer, lead]", "roles: [lead]\n    tokens: [{issuer: company, subject: s-1}]"),
    ]
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, *changes)))
    sign_in = bent(TARGET, ("sign_in:\n", "sign_in:\n  oidc_provider: login.example.com/t\n"))
    target = load_target(written(tmp_path, "eu-production.yaml", sign_in))
    with pytest.raises(
        ConfigError, match=r"members\[1\]\.tokens\[0\]\.subject: got s-1, which is scientist-1 at https://login"
    ):
        check_together(team, target)


def test_tasks_need_a_way_out(tmp_path: Path) -> None:
    on_fargate = ("{form: api, runtime: lambda}", "{form: api, runtime: fargate}")
    with pytest.raises(ConfigError) as caught:
        check_together(
            load_team(written(tmp_path, "fraud.yaml", bent(TEAM, on_fargate))),
            load_target(written(tmp_path, "eu-production.yaml", bent(TARGET, ("egress: nat", "egress: none")))),
        )
    said = {problem.path: problem.message for problem in caught.value.problems}
    assert "its tasks would have no way to images and logs" in said["models[0].deliver[0].runtime"]
