"""Files that cannot be used: each problem is told at its place, with what is allowed and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcycle.config import ConfigError, Problem, load_all, load_paths, load_target, load_team
from labcycle.config.loader import file_of
from tests.unit.config.files import TARGET, TEAM, bent, line_of, written

REPOSITORY = Path(__file__).parents[3]
CIDR = "cidr: 10.0.0.0/16"
VPC = "vpc-0123456789abcdef0"
SUBNETS = "[subnet-0123456789abcdef0, subnet-0123456789abcdef1]"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"


def team_problems(folder: Path, *changes: tuple[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_team(written(folder, "fraud.yaml", bent(TEAM, *changes)))
    return caught.value.problems


def target_problems(folder: Path, *changes: tuple[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_target(written(folder, "eu-production.yaml", bent(TARGET, *changes)))
    return caught.value.problems


RETENTION = "  artifact_retention_days: 3650"


API = "      - {form: api, runtime: lambda}\n"
LAMBDA = "{form: api, runtime: lambda}"
OFF = 'off_hours: {begin: "cron(0 20 ? * * *)", end: "cron(0 7 ? * * *)",'
LONG = f"{'a' * 87}@example.com"


def report(*more: str, schedule: str = "cron(0 7 ? * MON *)", recipients: str = "[cards@example.com]") -> str:
    """A report as an entry of deliver."""
    given = [f'schedule: "{schedule}"', f"recipients: {recipients}", *more]
    return f"      - {{form: report, {', '.join(given)}}}\n"


def issuers(*urls: str) -> str:
    entries = "".join(f"    - {{name: i{n}, url: '{url}', audience: lab}}\n" for n, url in enumerate(urls))
    return f"{RETENTION}\n  issuers:\n{entries.rstrip()}"


def test_the_example_files_load_and_fit_together() -> None:
    teams, targets = load_all(REPOSITORY / "infra/teams", REPOSITORY / "infra/targets")
    assert [team.team for team in teams] == ["fraud", "growth"]
    assert sorted(targets) == ["eu-production", "eu-sandbox"]
    fraud, growth = teams
    assert fraud.models[0].react[0].promote == "automatic"
    assert fraud.workspaces is not None and fraud.workspaces.tiers == ("gpu-small",)
    assert growth.models == () and growth.workspaces is None


def test_rules_of_retention_are_one_a_status(tmp_path: Path) -> None:
    rules = f"{RETENTION}\n  retention:\n    - {{status: failed, days: 90}}\n    - {{status: %s, days: %s}}"
    team = load_team(written(tmp_path, "fraud.yaml", bent(TEAM, (RETENTION, rules % ("deleted", 30)))))
    assert [(rule.status, rule.days) for rule in team.tracking.retention] == [("failed", 90), ("deleted", 30)]
    for status, days, path, said in (
        ("failed", 30, "tracking.retention[1].status", "got failed, for which retention[0] is the rule already"),
        ("running", 30, "tracking.retention[1].status", "got running; allowed deleted, failed, killed or finished"),
        ("deleted", 0, "tracking.retention[1].days", "got 0; allowed 1 to 36500"),
    ):
        (problem,) = team_problems(tmp_path, (RETENTION, rules % (status, days)))
        assert problem.path == path and said in problem.message


def test_a_valid_file_gives_its_values_and_the_defaults(tmp_path: Path) -> None:
    team = load_team(written(tmp_path, "fraud.yaml", TEAM))
    assert team.members[0].principal.kind == "identity_center"
    assert team.members[0].principal.value == "scientist-1@example.com"
    model = team.models[0]
    assert model.api is not None and model.api.memory_mb == 2048 and model.api.timeout_seconds == 29
    assert model.batch is None and not team.scores_batches
    assert (
        model.monitor is not None and model.monitor.drift.minimum_rows == 500 and model.monitor.drift.persistence == 3
    )
    assert model.react[0].on == ("drift",) and model.react[0].cool_down_hours == 24
    assert team.tracking.requests_per_second == 100


def test_six_planted_mistakes_are_all_told_each_at_its_line_and_column(tmp_path: Path) -> None:
    changes = (
        ("cost_centre: cc-4410", "cost_center: cc-4410"),
        ("stage: production", "stage: prod"),
        ("principal: {iam_user: reviewer-1}", "principal: {iam_user: reviewer-1, saml_subject: rev}"),
        ("artifact_retention_days: 3650", "artifact_retention_days: 7"),
        ("volume_gib: 100", 'volume_gib: "100"'),
        ("tiers: [gpu-small]", "tiers: [gpu-smal]"),
    )
    text = bent(TEAM, *changes)
    problems = team_problems(tmp_path, *changes)
    found = {(problem.path, problem.line, problem.column): problem.message for problem in problems}
    expected = {
        ("cost_center", line_of(text, "cost_center"), 1): "Did you mean cost_centre?",
        ("stage", line_of(text, "stage: prod"), 8): "allowed sandbox, staging or production",
        (
            "members[1].principal",
            line_of(text, "saml_subject"),
            16,
        ): "got iam_user and saml_subject; allowed exactly one of",
        ("tracking.artifact_retention_days", line_of(text, "artifact_ret"), 28): "got 7; allowed 30 to 36500",
        ("workspaces.volume_gib", line_of(text, "volume_gib"), 15): 'got "100"; allowed a whole number',
        ("workspaces.tiers[0]", line_of(text, "gpu-smal"), 11): "Did you mean gpu-small?",
    }
    missing = ("cost_centre", 1, 1)  # the misspelt key is also missing
    assert set(found) == {*expected, missing}
    for place, part in expected.items():
        assert part in found[place]


def test_the_report_names_file_line_column_path_and_mend(tmp_path: Path) -> None:
    (problem,) = team_problems(tmp_path, ("volume_gib: 100", "volume_gib: 1"))
    assert str(problem) == (
        f"{tmp_path / 'fraud.yaml'}:17:15: workspaces.volume_gib: got 1; allowed 40 to 16384. Choose a number in that range"
    )


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            ("owner: fraud-leads@example.com\n", ""),
            "owner",
            "got nothing; allowed an e-mail address such as name@example.com. Add the key owner",
        ),
        (
            ("owner: fraud-leads@example.com", "owner: fraud-leads"),
            "owner",
            "got fraud-leads; allowed an e-mail address",
        ),
        (("owner: fraud-leads@example.com", "owner:"), "owner", "got nothing; allowed an e-mail address"),
        (
            ("name: scientist-1", "name: Scientist 1"),
            "members[0].name",
            "allowed lower-case letters, digits and hyphens",
        ),
        (("roles: [data_scientist]", "roles: []"), "members[0].roles", "got 0 entries; allowed at least 1"),
        (
            ("roles: [data_scientist]", "roles: data_scientist"),
            "members[0].roles",
            "allowed a list. Write [data_scientist]",
        ),
        (
            ("roles: [data_scientist]", "roles: [data_scientist, data_scientist]"),
            "members[0].roles[1]",
            "got data_scientist again",
        ),
        (
            ("{identity_center: scientist-1@example.com}", "{}"),
            "members[0].principal",
            "got none; allowed exactly one of",
        ),
        (("    principal: {iam_user: reviewer-1}\n", ""), "members[1].principal", "Add the key principal"),
        (("{iam_user: reviewer-1}", "{iam_usr: reviewer-1}"), "members[1].principal.iam_usr", "Did you mean iam_user?"),
        (("name: reviewer-1", "name: scientist-1"), "members[1].name", "the name of members[0] already"),
        (
            ("{iam_user: reviewer-1}", "{identity_center: Scientist-1@example.com}"),
            "members[1].principal.identity_center",
            "which is members[0] already",
        ),
        (
            ("name: reviewer-1", "name: reviewer-workspace"),
            "members[1].name",
            "allowed names that do not end with -workspace",
        ),
        (
            ("name: reviewer-1", "name: reviewer-job"),
            "members[1].name",
            "allowed names that do not end with -job: those roles belong to jobs",
        ),
        (
            (
                "workspaces:\n  tiers: [gpu-small]\n",
                "compute:\n  image: training:1\nworkspaces:\n  tiers: [gpu-small]\n",
            ),
            "compute.image",
            "got training:1; allowed an ECR image with its tag or digest",
        ),
        (
            ("workspaces:\n  tiers: [gpu-small]\n  volume_gib: 100\n", f"compute:\n  image: {IMAGE}\n  max_vcpus: 2\n"),
            "compute.max_vcpus",
            "got 2; allowed 4 to 10000",
        ),
        (("tiers: [gpu-small]", "tiers: [quantum]"), "workspaces.tiers[0]", "got quantum; allowed cpu-small"),
        (
            ("tracking:\n  artifact_retention_days: 3650", "tracking: 3650"),
            "tracking",
            "got 3650; allowed a mapping of keys to values",
        ),
        (
            ("runtime: lambda", "runtime: lamda"),
            "models[0].deliver[0].runtime",
            "got lamda; allowed lambda, fargate or sagemaker. Did you mean lambda?",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: bach}"),
            "models[0].deliver[0].form",
            "got bach; allowed api, batch, external, report or app. Did you mean batch?",
        ),
        (
            ("{form: api, runtime: lambda}", "{runtime: lambda}"),
            "models[0].deliver[0].form",
            "got nothing; allowed api, batch, external, report or app. Add the key form",
        ),
        (
            ("form: api, runtime: lambda", "form: api, runtime: lambda, schedule: rate(1 day)"),
            "models[0].deliver[0].schedule",
            "got an unknown key; allowed form, runtime, memory_mb, timeout_seconds, requests_per_second, burst, consumers, shadow, concurrency or start",
        ),
        (
            ("form: api, runtime: lambda}", "form: api, runtime: lambda}\n      - {form: batch, memory_mb: 100}"),
            "models[0].deliver[1].memory_mb",
            "got 100; allowed 512 to 10240",
        ),
        (
            ("form: api, runtime: lambda}", "form: api, runtime: lambda}\n      - {form: batch, schedule: daily}"),
            "models[0].deliver[1].schedule",
            "got daily; allowed cron(minutes hours day-of-month month day-of-week year)",
        ),
        (
            (
                "form: api, runtime: lambda}",
                "form: api, runtime: lambda}\n      - {form: batch, time_zone: Europe/Berlim}",
            ),
            "models[0].deliver[1].time_zone",
            "Did you mean Europe/Berlin?",
        ),
        (
            ("form: api, runtime: lambda}", "form: api, runtime: lambda}\n      - {form: batch, concurency: 3}"),
            "models[0].deliver[1].concurency",
            "Did you mean concurrency?",
        ),
        (
            ("{form: api, runtime: lambda}", "[form]"),
            "models[0].deliver[0]",
            "got a list of 1; allowed a mapping of keys to values",
        ),
        (
            ("runtime: lambda", "runtime: lambda, memory: 512"),
            "models[0].deliver[0].memory",
            "allowed form, runtime, memory_mb, timeout_seconds, requests_per_second, burst, consumers, shadow, concurrency or start. Did you mean memory_mb?",
        ),
        (
            (API, API + report()),
            "models[0].deliver[1].sender",
            "got nothing; allowed an e-mail address such as name@example.com. Add the key sender",
        ),
        (
            (API, API + report("sender: reports")),
            "models[0].deliver[1].sender",
            "got reports; allowed an e-mail address",
        ),
        (
            (API, API + report("sender: a@b.c", schedule="cron(*/5 * * * ? *)")),
            "models[0].deliver[1].schedule",
            "got cron(*/5 * * * ? *); allowed cron(minute hour day month weekday year) with ? for day or weekday",
        ),
        (
            (API, API + report("sender: a@b.c", schedule="cron(0 24 ? * MON *)")),
            "models[0].deliver[1].schedule",
            "got cron(0 24 ? * MON *); allowed",
        ),
        (
            (API, API + report("sender: a@b.c", schedule="cron(0 7 ? * MON,XYZ *)")),
            "models[0].deliver[1].schedule",
            "got cron(0 7 ? * MON,XYZ *); allowed cron(minute hour day month weekday year) with ? for day or weekday",
        ),
        (
            (API, API + report("sender: a@b.c", "time_zone: Europe/Berln")),
            "models[0].deliver[1].time_zone",
            "got Europe/Berln; allowed a time zone of the IANA database such as Europe/Berlin. Did you mean Europe/Berlin?",
        ),
        (
            (API, API + "    promotion: {canary_percents: [10, 10]}\n"),
            "models[0].promotion.canary_percents[1]",
            "got 10 after 10; allowed growing shares, such as 10, 50. Write them in order, each once",
        ),
        (
            (API, API + "    promotion: {step_minutes: 90, longest_hours: 1}\n"),
            "models[0].promotion.step_minutes",
            "got 90 minutes; allowed at most longest_hours, which is 1",
        ),
        (
            (API, API + "    promotion: {canary_percent: [10]}\n"),
            "models[0].promotion.canary_percent",
            "Did you mean canary_percents?",
        ),
        ((API, API + report("sender: a@b.c", "days: 93")), "models[0].deliver[1].days", "got 93; allowed 1 to 92"),
        (
            (API, API + report("sender: a@b.c", recipients="[]")),
            "models[0].deliver[1].recipients",
            "got 0 entries; allowed at least 1",
        ),
        (
            (API, API + report("sender: a@b.c", recipients="[a@b.c, a@b.c]")),
            "models[0].deliver[1].recipients[1]",
            "got a@b.c again",
        ),
        (
            (API, API + report("sender: a@b.c", recipients=f"[{', '.join(f'{i}{LONG}' for i in range(10, 40))}]")),
            "models[0].deliver[1].recipients",
            "got 3030 characters of addresses; allowed 3000 together. Name a mailing list instead",
        ),
        (
            (API, API + "      - {form: app, runtime: lambda}\n"),
            "models[0].deliver[1].runtime",
            "got an unknown key; allowed form",
        ),
        (
            (API, "      - {form: batch}\n      - {form: app}\n"),
            "models[0].deliver[1].form",
            "got app in a model without an api; allowed beside the form api",
        ),
        ((API, API + API), "models[0].deliver[1].form", "got api again; allowed each form once a model"),
        (
            (API, report("sender: a@b.c")),
            "models[0].deliver[0].form",
            "got report alone; allowed beside another form",
        ),
        (("threshold: 0.2", "threshold: .inf"), "models[0].monitor.drift.threshold", "got .inf"),
        (("threshold: 0.2", "threshold: 0"), "models[0].monitor.drift.threshold", "got 0; allowed 0.01 to 10"),
        (("threshold: 0.2", "threshold: 0.009"), "models[0].monitor.drift.threshold", "got 0.009; allowed 0.01 to 10"),
        (
            ("runtime: lambda", "runtime: lambda, timeout_seconds: 2"),
            "models[0].deliver[0].timeout_seconds",
            "got 2; allowed 3 to 29",
        ),
        (
            ("roles: [data_scientist]", "roles: [operator]"),
            "workspaces",
            "got workspaces, and no member with the role data_scientist; allowed where a member has it",
        ),
        (("cost_centre: cc-4410", "cost_centre: AWS:4410"), "cost_centre", "got AWS:4410; allowed values that do not"),
        (
            ("{iam_user: reviewer-1}", "{saml_subject: '${SAML:sub}'}"),
            "members[1].principal.saml_subject",
            "got ${SAML:sub}; allowed a subject of 2 to 256 ASCII characters without spaces and $",
        ),
        (("fraud-leads@example.com", '"fraud\\x01leads@example.com"'), "owner", "allowed an e-mail address"),
        (
            ("threshold: 0.2", "minimum_rows: 1.5"),
            "models[0].monitor.drift.minimum_rows",
            "got 1.5; allowed a whole number",
        ),
        (
            ("threshold: 0.2", "minimum_rows: true"),
            "models[0].monitor.drift.minimum_rows",
            "got true; allowed a whole number",
        ),
        (("training:1", "training"), "models[0].retrain.image", "allowed an ECR image with its tag or digest"),
        (
            (RETENTION, issuers("http://login.example.com")),
            "tracking.issuers[0].url",
            "got http://login.example.com; allowed the issuer's address as in its tokens' iss, such as https://login",
        ),
        (
            (RETENTION, issuers("https://a.example.com", "https://a.example.com")),
            "tracking.issuers[1].url",
            "got https://a.example.com, which is issuers[0] already; allowed each issuer once",
        ),
        (
            (RETENTION, issuers("https://a.example.com", "https://b.example.com").replace("i1", "i0")),
            "tracking.issuers[1].name",
            "got i0, the name of issuers[0] already",
        ),
        (
            (
                RETENTION,
                issuers("https://a.example.com", "https://b.example.com").replace("i0", "a1b").replace("i1", "a-1b"),
            ),
            "tracking.issuers[1].name",
            "got a-1b, whose output TrackingUrlA1B is that of issuers[0] already; allowed names that differ in more",
        ),
        (
            ("roles: [reviewer, lead]", "roles: [lead]\n    tokens: [{issuer: company, subject: r-1}]"),
            "members[1].tokens[0].issuer",
            "got company; allowed the name of an issuer in tracking.issuers. Add it there",
        ),
        (
            ("on: [drift]", "on: [performance]"),
            "models[0].react[0].on[0]",
            "got performance in a model whose monitor has no",
        ),
        (
            ("    monitor:\n      drift: {threshold: 0.2}\n", ""),
            "models[0].react[0]",
            "a model without monitor, which it needs",
        ),
        (
            ("    retrain:\n      image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1\n", ""),
            "models[0].react[0]",
            "a model without retrain",
        ),
        (("team: fraud", "team: fruad"), "team", "got fruad; allowed fraud, the name of the file"),
        (
            ("stage: production", "stage: production\ncompliance: [hippa]"),
            "compliance[0]",
            "got hippa; allowed hipaa, nist-800-53 or pci. Did you mean hipaa?",
        ),
        (("stage: production", "stage: production\ncompliance: [pci, pci]"), "compliance[1]", "got pci again"),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, memory_mb: 1024}"),
            "models[0].deliver[0].memory_mb",
            "got 1024 MB of memory with a cpu of 1024; allowed with it 2048 to 8192 in steps of 1024",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, cpu: 512, memory_mb: 8192}"),
            "models[0].deliver[0].memory_mb",
            "got 8192 MB of memory with a cpu of 512; allowed with it 1024 to 4096",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, cpu: 300}"),
            "models[0].deliver[0].cpu",
            "got 300; allowed 256, 512, 1024, 2048, 4096, 8192 or 16384",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, minimum_tasks: 1}"),
            "models[0].deliver[0].minimum_tasks",
            "got 1 in the stage production; allowed 2 or more",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, minimum_tasks: 7}"),
            "models[0].deliver[0].minimum_tasks",
            "got minimum_tasks 7 and maximum_tasks 6",
        ),
        (
            (LAMBDA, "{form: api, runtime: lambda, concurrency: 2, start: {mode: provisioned, concurrency: 3}}"),
            "models[0].deliver[0].start.concurrency",
            "got 3 functions that are started ahead, and a concurrency of 2; allowed no more",
        ),
        (
            (LAMBDA, "{form: api, runtime: lambda, start: {mode: snap_start, concurrency: 3}}"),
            "models[0].deliver[0].start.concurrency",
            "got an unknown key; allowed mode. Remove it",
        ),
        (
            (LAMBDA, "{form: api, runtime: lambda, start: {mode: snapstart}}"),
            "models[0].deliver[0].start.mode",
            "got snapstart; allowed provisioned or snap_start. Did you mean snap_start?",
        ),
        (
            (LAMBDA, "{form: api, runtime: lambda, start: {concurrency: 3}}"),
            "models[0].deliver[0].start.mode",
            "got nothing; allowed provisioned or snap_start. Add the key mode",
        ),
        (
            (
                LAMBDA,
                f"{{form: api, runtime: lambda, start: {{mode: provisioned, concurrency: 3, {OFF} concurrency: 4}}}}}}",
            ),
            "models[0].deliver[0].start.off_hours.concurrency",
            "got 4; allowed no more than concurrency, which is 3",
        ),
        (
            (LAMBDA, f"{{form: api, runtime: fargate, {OFF} tasks: 3}}}}"),
            "models[0].deliver[0].off_hours.tasks",
            "got 3; allowed no more than minimum_tasks, which is 2",
        ),
        (
            (LAMBDA, f"{{form: api, runtime: fargate, {OFF.replace('0 7', '0 20')} tasks: 0}}}}"),
            "models[0].deliver[0].off_hours.end",
            "got cron(0 20 ? * * *), at which they begin; allowed another time",
        ),
        (
            (LAMBDA, f"{{form: api, runtime: fargate, {OFF.replace('cron(0 7 ? * * *)', 'rate(1 day)')} tasks: 0}}}}"),
            "models[0].deliver[0].off_hours.end",
            "got rate(1 day); allowed cron(minutes hours day-of-month month day-of-week year)",
        ),
        (
            (LAMBDA, f"{{form: api, runtime: sagemaker, mode: real_time, {OFF} instances: 0}}}}"),
            "models[0].deliver[0].off_hours.instances",
            "got 0; allowed 1 to 50",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: fargate, minimum_taks: 3}"),
            "models[0].deliver[0].minimum_taks",
            "Did you mean minimum_tasks?",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker}"),
            "models[0].deliver[0].mode",
            "got nothing; allowed real_time, serverless or asynchronous. Add the key mode",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: realtime}"),
            "models[0].deliver[0].mode",
            "got realtime; allowed real_time, serverless or asynchronous. Did you mean real_time?",
        ),
        (
            (
                "{form: api, runtime: lambda}",
                "{form: api, runtime: sagemaker, mode: real_time, instance_type: ml.g5.xlarge}",
            ),
            "models[0].deliver[0].instance_type",
            "got ml.g5.xlarge; allowed ml.c5.xlarge, ml.m5.large",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: real_time, minimum_instances: 1}"),
            "models[0].deliver[0].minimum_instances",
            "got 1 in the stage production; allowed 2 or more",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: real_time, minimum_instances: 5}"),
            "models[0].deliver[0].minimum_instances",
            "got minimum_instances 5 and maximum_instances 4",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: real_time, memory_mb: 2048}"),
            "models[0].deliver[0].memory_mb",
            "got an unknown key; allowed form, runtime, requests_per_second, burst, mode, instance_type",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: serverless, memory_mb: 1536}"),
            "models[0].deliver[0].memory_mb",
            "got 1536; allowed 1024, 2048, 3072, 4096, 5120 or 6144",
        ),
        (
            (
                "{form: api, runtime: lambda}",
                "{form: api, runtime: sagemaker, mode: asynchronous, minimum_instances: 5}",
            ),
            "models[0].deliver[0].minimum_instances",
            "got minimum_instances 5 and maximum_instances 4",
        ),
        (
            (
                "{form: api, runtime: lambda}",
                "{form: api, runtime: sagemaker, mode: asynchronous, maximum_instances: 0}",
            ),
            "models[0].deliver[0].maximum_instances",
            "got 0; allowed 1 to 50",
        ),
        (
            (
                "{form: api, runtime: lambda}",
                "{form: api, runtime: sagemaker, mode: asynchronous, instance_type: ml.p5.48xlarge}",
            ),
            "models[0].deliver[0].instance_type",
            "ml.g4dn.xlarge, ml.g5.xlarge, ml.g5.2xlarge or ml.g6.xlarge",
        ),
        (
            ("{form: api, runtime: lambda}", "{form: api, runtime: sagemaker, mode: asynchronous, concurrency: 9}"),
            "models[0].deliver[0].concurrency",
            "got 9; allowed 1 to 8",
        ),
        (
            (
                "{form: api, runtime: lambda}",
                "{form: api, runtime: sagemaker, mode: asynchronous}\n      - {form: app}",
            ),
            "models[0].deliver[1].form",
            "got app beside an api with mode: asynchronous; allowed beside one that answers at once",
        ),
    ],
)
def test_a_mistake_in_a_team_file(tmp_path: Path, change: tuple[str, str], path: str, message: str) -> None:
    (problem,) = team_problems(tmp_path, change)
    assert problem.path == path
    assert message in problem.message
    assert problem.line > 0 and problem.column > 0


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            ('"123456789012"', "123456789012"),
            "account",
            "got 123456789012; allowed 12 digits in quotes. Write the account id",
        ),
        (('"123456789012"', "012345670123"), "account", 'Write "012345670123" if it is text'),
        (('"123456789012"', "012345678901"), "account", 'Write "012345678901" if it is text'),
        (('"123456789012"', '"12345678901"'), "account", 'got "12345678901"; allowed 12 digits in quotes'),
        (
            ("region: eu-west-1", "region: eu-wets-1"),
            "region",
            "got eu-wets-1; allowed an AWS region such as eu-west-1. Did you mean eu-west-1?",
        ),
        (("eu-west-1b]", "eu-central-1b]"), "zones[1]", "got eu-central-1b; allowed availability zones of eu-west-1"),
        (("eu-west-1b]", "eu-west-1a]"), "zones[1]", "got eu-west-1a again"),
        (("[eu-west-1a, eu-west-1b]", "[eu-west-1a]"), "zones", "got 1 entries; allowed at least 2"),
        (("  egress: nat\n", ""), "network.egress", "got nothing; allowed none or nat. Add the key egress"),
        (("egress: nat", "egress: endpoints"), "network.egress", "got endpoints; allowed none or nat"),
        (("10.0.0.0/16", "10.0.0.1/16"), "network.cidr", "has host bits set"),
        (("10.0.0.0/16", "10.0.0.0/8"), "network.cidr", "with a prefix from /16 to /24"),
        (
            ("10.0.0.0/16", "10.0.0.0/255.255.0.0"),
            "network.cidr",
            "with a prefix from /16 to /24. Choose another prefix",
        ),
        (("10.0.0.0/16", "ten"), "network.cidr", "allowed a network such as 10.0.0.0/16"),
        (
            ("labcycle-member", "labcycle member"),
            "sign_in.identity_center_permission_set",
            "allowed the name of a permission set",
        ),
        (("target: eu-production", "target: eu-prod"), "target", "the name of the file"),
        (("target: eu-production", f"target: {'t' * 105}"), "target", "allowed at most 104 characters. Shorten it"),
        (("name: shared", f"name: {'n' * 129}"), "network.name", "allowed at most 128 characters. Shorten it"),
        (
            (CIDR, f"vpc_id: {VPC}"),
            "network.vpc_id",
            "got no private_subnet_ids beside it; allowed both or neither. Add",
        ),
        ((CIDR, f"private_subnet_ids: {SUBNETS}"), "network.private_subnet_ids", "got no vpc_id beside it"),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnets_ids: {SUBNETS}"),
            "network.private_subnets_ids",
            "Did you mean private_subnet_ids?",
        ),
        (
            (CIDR, f"{CIDR}\n  vpc_id: {VPC}\n  private_subnet_ids: {SUBNETS}"),
            "network.cidr",
            "got an address range for a VPC of your own; allowed where the VPC is made. Remove cidr",
        ),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: [subnet-0a1b2c3d, subnet-0a1b2c3e, subnet-0a1b2c3f]"),
            "network.private_subnet_ids",
            "got 3 subnets for 2 zones; allowed one subnet a zone, in the order of zones",
        ),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: [subnet-0a1b2c3d, subnet-0a1b2c3d]"),
            "network.private_subnet_ids[1]",
            "got subnet-0a1b2c3d again",
        ),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: []"),
            "network.private_subnet_ids",
            "got 0 entries; allowed at least 2",
        ),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: subnet-0a1b2c3d"),
            "network.private_subnet_ids",
            "allowed a list. Write [subnet-0a1b2c3d]",
        ),
        (
            (CIDR, f"vpc_id: VPC-1\n  private_subnet_ids: {SUBNETS}"),
            "network.vpc_id",
            "got VPC-1; allowed the id of a VPC: vpc- and 8 or 17 of the digits",
        ),
        (
            (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: [subnet-0a1b2c3d, sg-0a1b2c3d]"),
            "network.private_subnet_ids[1]",
            "got sg-0a1b2c3d; allowed the id of a subnet",
        ),
        (
            ("region: eu", "bootstrap_qualifier: Acme\nregion: eu"),
            "bootstrap_qualifier",
            "got Acme; allowed 1 to 10 lower-case letters and digits",
        ),
        (
            ("region: eu", "quotas: {L-db2e81ba: 64}\nregion: eu"),
            "quotas.L-db2e81ba",
            "got L-db2e81ba; allowed codes of Service Quotas such as L-DB2E81BA",
        ),
        (
            ("region: eu", 'quotas: {L-DB2E81BA: "64"}\nregion: eu'),
            "quotas.L-DB2E81BA",
            'got "64"; allowed a whole number',
        ),
        (
            ("region: eu", "quotas: {L-DB2E81BA: -1}\nregion: eu"),
            "quotas.L-DB2E81BA",
            "got -1; allowed 0 to 1000000000. Choose a number in that range",
        ),
        (
            ("region: eu", "quotas: [L-DB2E81BA]\nregion: eu"),
            "quotas",
            "got a list of 1; allowed a mapping of keys to values",
        ),
    ],
)
def test_a_mistake_in_a_target_file(tmp_path: Path, change: tuple[str, str], path: str, message: str) -> None:
    (problem,) = target_problems(tmp_path, change)
    assert problem.path == path
    assert message in problem.message
    assert problem.line > 0 and problem.column > 0


def test_a_target_can_have_a_network_a_bootstrap_and_quotas_of_its_own(tmp_path: Path) -> None:
    changes = (
        (CIDR, f"vpc_id: {VPC}\n  private_subnet_ids: {SUBNETS}"),
        ("region: eu", "bootstrap_qualifier: acme1\nquotas: {L-DB2E81BA: 64, L-1216C47A: 0}\nregion: eu"),
    )
    target = load_target(written(tmp_path, "eu-production.yaml", bent(TARGET, *changes)))
    assert target.network.vpc_id == VPC
    assert target.network.private_subnet_ids == ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
    assert target.bootstrap_qualifier == "acme1"
    assert target.quotas == {"L-DB2E81BA": 64, "L-1216C47A": 0}


def test_a_key_that_is_empty_is_absent(tmp_path: Path) -> None:
    empty = ("name: shared", "name: shared\n  vpc_id:\n  private_subnet_ids:")
    network = load_target(written(tmp_path, "eu-production.yaml", bent(TARGET, empty))).network
    assert (network.vpc_id, network.private_subnet_ids, network.cidr) == (None, None, "10.0.0.0/16")


def test_a_missing_key_is_told_where_its_mapping_begins(tmp_path: Path) -> None:
    (problem,) = target_problems(tmp_path, ("  egress: nat\n", ""))
    assert problem.line == line_of(TARGET, "network:")


def test_a_misspelt_role_is_not_told_twice(tmp_path: Path) -> None:
    (problem,) = team_problems(tmp_path, ("roles: [data_scientist]", "roles: [data_scientst]"))
    assert problem.path == "members[0].roles[0]"


def test_a_file_is_found_by_its_name_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    assert file_of(tmp_path, "growth") is None
    long = written(tmp_path, "growth.yaml", TEAM)
    assert file_of(tmp_path, "growth") == long
    assert file_of(tmp_path / "teams", "../growth") is None
    short = written(tmp_path, "growth.yml", TEAM)
    with pytest.raises(ConfigError, match=rf"^{short}:1:1: got growth\.yml beside growth\.yaml; .* Remove one"):
        file_of(tmp_path, "growth")


def test_two_files_of_the_target_beside_a_team_are_refused(tmp_path: Path) -> None:
    team = written(tmp_path / "teams", "fraud.yaml", TEAM)
    written(tmp_path / "targets", "eu-production.yaml", TARGET)
    written(tmp_path / "targets", "eu-production.yml", TARGET)
    with pytest.raises(ConfigError, match=r"eu-production\.yml:1:1: got eu-production\.yml beside"):
        load_paths([team])


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path / "teams", "fraud.yaml", bent(TEAM, ("stage: production", "stage: prod")))
    written(
        tmp_path / "teams",
        "growth.yaml",
        bent(TEAM, ("team: fraud", "team: growth"), ("eu-production", "eu-prodcution")),
    )
    written(tmp_path / "targets", "eu-production.yaml", TARGET)
    written(tmp_path / "targets", "eu-sandbox.yaml", "")
    with pytest.raises(ConfigError) as caught:
        load_all(tmp_path / "teams", tmp_path / "targets")
    told = [(Path(problem.file).name, problem.path) for problem in caught.value.problems]
    assert told == [("eu-sandbox.yaml", ""), ("fraud.yaml", "stage"), ("growth.yaml", "target")]
    assert "Did you mean eu-production?" in str(caught.value)


def test_a_team_of_a_broken_target_is_not_blamed_for_it(tmp_path: Path) -> None:
    written(tmp_path / "teams", "fraud.yaml", TEAM)
    written(tmp_path / "targets", "eu-production.yaml", bent(TARGET, ("region: eu-west-1", "region: mars-1")))
    with pytest.raises(ConfigError) as caught:
        load_all(tmp_path / "teams", tmp_path / "targets")
    assert {Path(problem.file).name for problem in caught.value.problems} == {"eu-production.yaml"}


def test_one_team_in_two_files_is_a_duplicate(tmp_path: Path) -> None:
    written(tmp_path / "teams", "fraud.yaml", TEAM)
    written(tmp_path / "teams", "fraud.yml", TEAM)
    written(tmp_path / "targets", "eu-production.yaml", TARGET)
    with pytest.raises(ConfigError, match=r"fraud\.yml:1:7: team: got fraud, which .*fraud\.yaml is already"):
        load_all(tmp_path / "teams", tmp_path / "targets")


@pytest.mark.parametrize("missing", ["teams", "targets"])
def test_a_missing_folder_is_told(tmp_path: Path, missing: str) -> None:
    written(tmp_path / "teams", "fraud.yaml", TEAM)
    written(tmp_path / "targets", "eu-production.yaml", TARGET)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=f"{missing}: there is no such folder"):
        load_all(tmp_path / "teams", tmp_path / "targets")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    written(tmp_path / "targets", "eu-production.yaml", TARGET)
    with pytest.raises(ConfigError, match=r"there is no \.yaml file in this folder"):
        load_all(tmp_path / "teams", tmp_path / "targets")


def test_jobs_are_for_data_scientists(tmp_path: Path) -> None:
    text = TEAM.replace("workspaces:\n  tiers: [gpu-small]\n  volume_gib: 100\n", f"compute: {{image: '{IMAGE}'}}\n")
    (tmp_path / "fraud.yaml").write_text(text.replace("[data_scientist]", "[operator]"))
    with pytest.raises(ConfigError, match="compute: got compute, and no member with the role data_scientist"):
        load_team(tmp_path / "fraud.yaml")
