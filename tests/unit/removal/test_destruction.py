"""The end of a sandbox: order, refusals, trouble, and never another team's things."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.cloudformation.models import Event, cloudformation_backends

from labcycle.removal.account import Account
from labcycle.removal.destruction import Destruction, Refused
from labcycle.removal.failure import StepFailed
from labcycle.removal.report import plan_as_text
from tests.unit.removal.conftest import ACCOUNT, REGION, Cloud, answered, bucket_name, refusal, tags


def destruction(cloud: Cloud, team: str, said: list[str] | None = None) -> Destruction:
    return Destruction(cloud.account, team, (said if said is not None else []).append)


def end(cloud: Cloud, team: str) -> list[str]:
    """Ends the team; gives what was said."""
    said: list[str] = []
    ending = destruction(cloud, team, said)
    ending.refuse_unless_sandbox()
    ending.execute()
    return said


def everything(cloud: Cloud) -> dict[str, Any]:
    return {
        "stacks": cloud.stacks(),
        "buckets": cloud.buckets(),
        "tables": cloud.client("dynamodb").list_tables()["TableNames"],
        "instances": [
            (one["InstanceId"], one["State"]["Name"])
            for reservation in cloud.client("ec2").describe_instances()["Reservations"]
            for one in reservation["Instances"]
        ],
        "volumes": [one["VolumeId"] for one in cloud.client("ec2").describe_volumes()["Volumes"]],
        "groups": [one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]],
    }


# ---- the plan and the end ------------------------------------------------------------------------------------------


def test_the_plan_has_sizes_and_changes_nothing(cloud: Cloud) -> None:
    cloud.team("data", model="score")
    cloud.client("dynamodb").put_item(TableName="labcycle-data-ledger", Item={"pk": {"S": "run"}})
    before = everything(cloud)
    text = plan_as_text("data", destruction(cloud, "data").plan())
    assert everything(cloud) == before
    assert "table labcycle-data-ledger: about 1 items" in text
    assert (
        f"bucket {bucket_name('data', 'artifacts')} (4 object versions, 16 bytes, 1 delete markers, 1 unfinished uploads)"
        in text
    )
    assert text.endswith("labcycle team destroy data --yes")


def test_what_stands_on_others_goes_first_and_the_bucket_of_access_logs_last(cloud: Cloud) -> None:
    cloud.team("data", model="score")
    cloud.stack("labcycle-data-workspaces", team="data")
    ended = [line.split()[2] for line in end(cloud, "data") if line.startswith(("stacks:", "buckets:"))]
    assert ended == [
        "labcycle-data-model-score",
        "labcycle-data-workspaces",
        "labcycle-data-tracking",
        "labcycle-data-foundation",
        "labcycle-data-guardrails",
        *(bucket_name("data", kind) for kind in ("anchors", "artifacts", "logs")),
    ]


def test_nothing_is_left_and_another_team_with_the_same_beginning_keeps_all(cloud: Cloud) -> None:
    cloud.team("data-two", model="score")
    machine(cloud, "data-two")
    group = cloud.client("logs")
    group.create_log_group(logGroupName="/aws/lambda/labcycle-data-two-tracking-F", tags={"labcycle:team": "data-two"})
    before = everything(cloud)
    cloud.team("data", model="two-score")
    machine(cloud, "data")
    end(cloud, "data")
    after = everything(cloud)
    after["instances"] = [one for one in after["instances"] if one[1] != "terminated"]
    assert after == before
    assert destruction(cloud, "data").stays() == []


def test_a_second_run_finds_nothing_to_do(cloud: Cloud) -> None:
    cloud.team("data")
    key(cloud, "data")
    end(cloud, "data")
    assert end(cloud, "data") == []
    assert "nothing to end any more" in plan_as_text("data", destruction(cloud, "data").plan())


def key(cloud: Cloud, team: str) -> str:
    made = cloud.client("kms").create_key(
        Tags=[{"TagKey": one["Key"], "TagValue": one["Value"]} for one in tags(team, "sandbox")]
    )
    return str(made["KeyMetadata"]["KeyId"])


def test_a_key_that_waits_is_told_with_its_day_and_how_to_bring_it_back(cloud: Cloud) -> None:
    cloud.team("data")
    known = key(cloud, "data")
    day = cloud.client("kms").schedule_key_deletion(KeyId=known, PendingWindowInDays=30)["DeletionDate"]
    end(cloud, "data")
    (sentence,) = destruction(cloud, "data").stays()
    assert sentence == (
        f"key {known} waits for its deletion until {day:%Y-%m-%d}; to bring it back before: "
        f"aws kms cancel-key-deletion --key-id {known}"
    )


def test_what_has_the_tag_and_no_step_is_told(cloud: Cloud) -> None:
    cloud.team("data")
    cloud.client("sqs").create_queue(
        QueueName="by-hand", tags={one["Key"]: one["Value"] for one in tags("data", "sandbox")}
    )
    cloud.stack("labcycle-data-extra", team=None, stage=None)
    end(cloud, "data")
    stays = destruction(cloud, "data").stays()
    assert any(sentence.startswith("queue by-hand") for sentence in stays)
    assert any(sentence.startswith("stack labcycle-data-extra") for sentence in stays)
    assert "labcycle-data-extra" in cloud.stacks()


# ---- what runs -----------------------------------------------------------------------------------------------------


def machine(cloud: Cloud, team: str, stage: str = "sandbox") -> str:
    """An instance with a data volume that outlives it, and a snapshot of that."""
    ec2 = cloud.client("ec2")
    (image,) = ec2.describe_images(Owners=["amazon"], MaxResults=5)["Images"][:1]
    (instance,) = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags(team, stage)}],
    )["Instances"]
    specification = [{"ResourceType": "volume", "Tags": tags(team, stage)}]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=7, TagSpecifications=specification)["VolumeId"]
    snapshot = [{"ResourceType": "snapshot", "Tags": tags(team, None)}]  # as people tag them
    ec2.create_snapshot(VolumeId=volume, TagSpecifications=snapshot)
    return str(instance["InstanceId"])


def test_instances_volumes_and_snapshots_go_by_their_tags(cloud: Cloud) -> None:
    cloud.team("data")
    mine, others = machine(cloud, "data"), machine(cloud, "data-two")
    said = end(cloud, "data")
    assert f"instances: instance {mine} (t3.micro, running)" in said
    assert any("volumes: volume" in line and "7 GiB" in line for line in said)
    states = dict(everything(cloud)["instances"])
    assert (states[mine], states[others]) == ("terminated", "running")
    asked = [{"Name": "tag:labcycle:team", "Values": ["data"]}]
    ec2 = cloud.client("ec2")
    assert ec2.describe_volumes(Filters=asked)["Volumes"] == []
    assert ec2.describe_snapshots(Filters=asked, OwnerIds=["self"])["Snapshots"] == []
    assert len(ec2.describe_snapshots(Filters=[{**asked[0], "Values": ["data-two"]}])["Snapshots"]) == 1


TRUST = '{"Version": "2012-10-17", "Statement": []}'


def role(name: str) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"RoleName": name, "AssumeRolePolicyDocument": {"Statement": []}}}


def training_job(cloud: Cloud, name: str, role_name: str) -> None:
    cloud.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role_name}",
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://bucket/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    for job in sagemaker_jobs():
        job.training_job_status = "InProgress"


def sagemaker_jobs() -> list[Any]:
    from moto.sagemaker.models import sagemaker_backends

    return list(sagemaker_backends[ACCOUNT][REGION].training_jobs.values())


def test_a_training_job_goes_by_its_role_since_its_name_could_be_another_teams(
    cloud: Cloud,
) -> None:
    cloud.stack("labcycle-data-model-two-x", team="data", resources={"Training": role("data-training")})
    cloud.stack("labcycle-data-two-model-x", team="data-two", resources={"Training": role("data-two-training")})
    training_job(cloud, "labcycle-data-two-x-1", "data-training")
    training_job(cloud, "labcycle-data-two-x-2", "data-two-training")
    stopped = []

    def stop(request: Any) -> AWSResponse:
        (job,) = [one for one in sagemaker_jobs() if one.training_job_name in request.body.decode()]
        job.training_job_status = "Stopped"
        stopped.append(job.training_job_name)
        return answered(request, "{}")

    cloud.fault("sagemaker.StopTrainingJob", stop, times=9)
    end(cloud, "data")
    assert stopped == ["labcycle-data-two-x-1"]


def test_running_executions_are_stopped(cloud: Cloud) -> None:
    definition = '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": true}}}'
    for team in ("data", "data-two"):
        properties = {
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
            "DefinitionString": definition,
            "StateMachineName": team,
        }
        resources = {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}
        cloud.stack(f"labcycle-{team}-model-x", team=team, resources=resources)
    client = cloud.client("stepfunctions")
    arns = {one["name"]: one["stateMachineArn"] for one in client.list_state_machines()["stateMachines"]}
    for arn in arns.values():
        client.start_execution(stateMachineArn=arn, name="running")
    (step,) = [step for step in destruction(cloud, "data").steps if step.name == "executions"]
    (item,) = step.find()
    assert item.delete is not None
    item.delete()
    states = {
        team: [one["status"] for one in client.list_executions(stateMachineArn=arn)["executions"]]
        for team, arn in arns.items()
    }
    assert states == {"data": ["ABORTED"], "data-two": ["RUNNING"]}


def test_log_groups_that_lambda_made_go_by_the_functions_of_the_stacks_also_of_deleted_ones(cloud: Cloud) -> None:
    iam, logs = cloud.client("iam"), cloud.client("logs")
    arn = iam.create_role(RoleName="f", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    properties = {
        "FunctionName": "labcycle-data-tracking-F",
        "Role": arn,
        "Handler": "h.h",
        "Runtime": "python3.13",
        "Code": {"ZipFile": "x"},
    }
    cloud.stack(
        "labcycle-data-model-x",
        team="data",
        resources={"F": {"Type": "AWS::Lambda::Function", "Properties": properties}},
    )
    cloud.bucket("data", "logs", objects=0)
    for name in ("labcycle-data-tracking-F", "labcycle-data-tracking-F2", "labcycle-data-two-tracking-F"):
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    logs.create_log_group(logGroupName="/retained", tags={one["Key"]: one["Value"] for one in tags("data", "sandbox")})
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    end(cloud, "data")
    assert everything(cloud)["groups"] == [
        "/aws/lambda/labcycle-data-tracking-F2",
        "/aws/lambda/labcycle-data-two-tracking-F",
        "/aws/sagemaker/TrainingJobs",
    ]


def test_log_groups_of_a_former_production_stay(cloud: Cloud) -> None:
    arn = cloud.client("iam").create_role(RoleName="f", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    for stage in ("production", "sandbox"):
        name = f"labcycle-data-{stage}"
        code = {"Role": arn, "Handler": "h.h", "Runtime": "python3.13", "Code": {"ZipFile": "x"}}
        function = {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": name, **code}}
        cloud.stack(name, team="data", stage=stage, resources={"F": function})
        cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")
    cloud.client("cloudformation").delete_stack(StackName="labcycle-data-production")
    end(cloud, "data")
    assert everything(cloud)["groups"] == ["/aws/lambda/labcycle-data-production"]


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "told"), [("production", "production"), ("staging", "staging"), (None, r"\(no tag labcycle:stage\)")]
)
def test_only_a_sandbox_is_ended_and_what_is_deployed_counts(cloud: Cloud, stage: str | None, told: str) -> None:
    cloud.team("data", stage=stage)
    before = everything(cloud)
    with pytest.raises(Refused, match=f"the stage {told}; allowed sandbox"):
        end(cloud, "data")
    assert everything(cloud) == before


def test_one_stack_that_is_no_sandbox_is_enough_to_refuse(cloud: Cloud) -> None:
    cloud.team("data")
    cloud.stack("labcycle-data-workspaces", team="data", stage="production")
    with pytest.raises(Refused, match="labcycle-data-workspaces is deployed with the stage production"):
        end(cloud, "data")


def test_a_bucket_of_a_former_stage_is_enough_to_refuse(cloud: Cloud) -> None:
    cloud.stack("labcycle-data-tracking", team="data")
    cloud.bucket("data", "artifacts", stage="production")
    with pytest.raises(Refused, match=r"the bucket labcycle-data-artifacts.* is of the stage production"):
        end(cloud, "data")


def test_without_stacks_the_tags_of_what_is_left_have_to_say_it(cloud: Cloud) -> None:
    cloud.bucket("data", "artifacts", stage=None)
    with pytest.raises(Refused, match="nothing that is left says"):
        end(cloud, "data")
    cloud.bucket("data", "logs")
    end(cloud, "data")
    assert cloud.buckets() == [bucket_name("data", "artifacts")]


def test_a_team_that_is_not_there_is_told_with_the_place(cloud: Cloud) -> None:
    cloud.team("data-two")
    with pytest.raises(Refused, match=f"team data in account {ACCOUNT}, region {REGION}: there is nothing"):
        end(cloud, "data")


def test_no_name_is_nobodys_and_not_everybodys(cloud: Cloud) -> None:
    cloud.team("data")
    with pytest.raises(Refused, match="there is nothing with its tag"):
        end(cloud, "")


def test_a_protected_stack_is_told_with_the_command(cloud: Cloud) -> None:
    cloud.stack("labcycle-data-tracking", team="data", EnableTerminationProtection=True)
    with pytest.raises(Refused, match="--no-enable-termination-protection --stack-name labcycle-data-tracking"):
        end(cloud, "data")


# ---- trouble -------------------------------------------------------------------------------------------------------


def test_throttling_is_waited_out(cloud: Cloud) -> None:
    cloud.team("data")
    stacks = cloud.fault("cloudformation.DescribeStacks", refusal(400, "Throttling", "Rate exceeded"), times=2)
    objects = cloud.fault("s3.DeleteObjects", refusal(503, "SlowDown", "Please reduce your request rate"), times=2)
    end(cloud, "data")
    assert (len(stacks), len(objects)) == (2, 2)
    assert (cloud.stacks(), cloud.buckets()) == ([], [])


def test_a_bucket_that_refuses_names_itself_and_the_next_run_goes_on(cloud: Cloud) -> None:
    cloud.team("data")
    struck = cloud.fault("s3.DeleteObjects", refusal(403, "AccessDenied", "Access Denied"))
    with pytest.raises(
        StepFailed, match=r"bucket labcycle-data-anchors.*AccessDenied.*run the same command again"
    ) as raised:
        end(cloud, "data")
    assert raised.value.step == f"bucket {bucket_name('data', 'anchors')}"
    assert len(struck) == 1
    assert (cloud.stacks(), len(cloud.buckets())) == ([], 3)
    said = end(cloud, "data")
    assert not any(line.startswith("stacks:") for line in said)
    assert cloud.buckets() == []


def test_a_stack_that_cannot_be_deleted_tells_why_and_is_tried_again(cloud: Cloud) -> None:
    cloud.team("data")

    def fail(request: Any) -> AWSResponse:
        (stack,) = [s for s in cloudformation_backends[ACCOUNT][REGION].stacks.values() if s.name.endswith("-tracking")]
        stack._add_stack_event("DELETE_IN_PROGRESS", resource_status_reason="User Initiated")
        failed = Event(
            stack_id=stack.stack_id, stack_name=stack.name, logical_resource_id="Role", physical_resource_id="role",
            resource_type="AWS::IAM::Role", resource_status="DELETE_FAILED",
            resource_status_reason="DeleteConflict: must detach all policies first", resource_properties=None,
        )  # fmt: skip
        stack.events.append(failed)
        stack.status = "DELETE_FAILED"
        return answered(request, "<DeleteStackResponse/>")

    cloud.fault("cloudformation.DeleteStack", fail)
    with pytest.raises(StepFailed, match=r"stack labcycle-data-tracking: .*Role \(AWS::IAM::Role\): DeleteConflict"):
        end(cloud, "data")
    assert cloud.stacks() == [f"labcycle-data-{part}" for part in ("foundation", "guardrails", "tracking")]
    assert "stack labcycle-data-tracking (DELETE_FAILED, 2 resources" in plan_as_text(
        "data", destruction(cloud, "data").plan()
    )
    end(cloud, "data")
    assert (cloud.stacks(), cloud.buckets()) == ([], [])


def test_a_deletion_that_takes_its_time_is_waited_for(cloud: Cloud) -> None:
    cloud.stack("labcycle-data-tracking", team="data")
    (stack,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    stack.status = "DELETE_IN_PROGRESS"
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            cloudformation_backends[ACCOUNT][REGION].delete_stack(stack.stack_id)

    said: list[str] = []
    Destruction(Account(cloud.client, sleep), "data", said.append).execute()
    assert len(looked) == 3 and cloud.stacks() == []


def test_what_is_locked_in_compliance_mode_stays_and_is_told(cloud: Cloud) -> None:
    cloud.team("data")
    until = datetime.datetime(2099, 5, 1, tzinfo=datetime.UTC)
    cloud.client("s3").put_object(
        Bucket=bucket_name("data", "anchors"),
        Key="anchor",
        Body=b"x",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )
    retention = (
        f"<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{until:%Y-%m-%dT%H:%M:%SZ}</RetainUntilDate></Retention>"
    )
    cloud.fault("s3.GetObjectRetention", lambda request: answered(request, retention))  # which moto does not know
    ending = destruction(cloud, "data")
    ending.execute()
    assert cloud.buckets() == [bucket_name("data", "anchors")]
    (sentence,) = ending.stays()
    assert sentence.startswith(f"bucket {bucket_name('data', 'anchors')}: 1 versions are locked in compliance mode")
    assert "2099-05-01" in sentence


def test_what_is_not_deleted_for_another_reason_fails_with_what_is_needed(cloud: Cloud) -> None:
    cloud.team("data")
    body = (
        "<DeleteResult><Error><Key>object-0</Key><VersionId>v</VersionId><Code>AccessDenied</Code>"
        "<Message>Access Denied</Message></Error></DeleteResult>"
    )
    cloud.fault("s3.DeleteObjects", lambda request: answered(request, body))
    cloud.fault("s3.GetObjectRetention", refusal(404, "NoSuchObjectLockConfiguration", "There is none"))
    with pytest.raises(StepFailed, match=r"the first is object-0: AccessDenied.*s3:BypassGovernanceRetention"):
        end(cloud, "data")
    end(cloud, "data")
    assert cloud.buckets() == []


def test_more_than_one_request_deletes_a_large_bucket(cloud: Cloud) -> None:
    name = cloud.bucket("data", "logs", objects=0)
    for n in range(1003):
        cloud.client("s3").put_object(Bucket=name, Key=f"{n:04}", Body=b"")
    said = end(cloud, "data")
    assert f"  {name}: 1,000 deleted" in said
    assert cloud.buckets() == []
