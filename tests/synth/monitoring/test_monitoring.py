"""The templates of ModelMonitor and ModelReaction: what is in them, and what no role may do."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

os.environ.setdefault("CDK_VALIDATION", "false")

from aws_cdk import App, Environment, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Match, Template

from labcycle.config import Drift, Reaction, Retrain
from labcycle.monitoring import ModelMonitor, ModelReaction
from labcycle_lambdas.monitoring import metrics
from labcycle_lambdas.monitoring.environment import Environment as EvaluatorEnvironment
from labcycle_lambdas.reaction.environment import Environment as ReactionEnvironment
from labcycle_lambdas.reaction.material import job_name_of
from labcycle_lambdas.reaction.verdict import Verdict

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/training:1.2"
WITHOUT_RESOURCE = {
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


class Bench:
    """A stack of the team `fraud` with what the constructs take."""

    def __init__(self) -> None:
        self.stack = Stack(
            App(analytics_reporting=False),
            "labcycle-fraud-model-card-fraud",
            env=Environment(account="123456789012", region="eu-west-1"),
        )
        key = kms.Key(self.stack, "Key")
        attribute = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        self.given: dict[str, Any] = {
            "team": "fraud",
            "model": "card-fraud",
            "ledger": dynamodb.Table(self.stack, "Ledger", partition_key=attribute),
            "encryption_key": key,
            "notice_topic": sns.Topic(self.stack, "Topic", master_key=key),
        }

    def monitor(self, **settings: Any) -> ModelMonitor:
        return ModelMonitor(self.stack, "Monitor", **(self.given | settings))

    def reaction(self, *policies: Reaction, **settings: Any) -> ModelReaction:
        """By default one that retrains on drift."""
        alarm = cloudwatch.Alarm.from_alarm_arn(
            self.stack, "Known", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:drift"
        )
        return ModelReaction(
            self.stack,
            "Retraining",
            **(
                {
                    "policies": policies or [Reaction(on=("drift",), do="retrain")],
                    "alarms": {"drift": alarm},
                    "retrain": Retrain(image=IMAGE),
                    "artifact_bucket": s3.Bucket(self.stack, "Bucket"),
                }
                | self.given
                | settings
            ),
        )

    def template(self) -> Template:
        return Template.from_stack(self.stack)


@pytest.fixture(scope="module")
def both() -> Template:
    bench = Bench()
    monitor = bench.monitor()
    bench.reaction(alarms={"drift": monitor.alarm})
    return bench.template()


def environment_of(template: Template, description: str) -> dict[str, str]:
    found = template.find_resources("AWS::Lambda::Function", {"Properties": {"Description": description}})
    variables: dict[str, Any] = next(iter(found.values()))["Properties"]["Environment"]["Variables"]
    return {name: value if isinstance(value, str) else "token" for name, value in variables.items()}


def alarms_of(template: Template, metric: str) -> list[tuple[str, dict[str, Any]]]:
    """Logical ids and properties of the alarms on a metric."""
    found = template.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"MetricName": metric}})
    return [(name, alarm["Properties"]) for name, alarm in found.items()]


def definition_of(template: Template) -> dict[str, Any]:
    machine = next(iter(template.find_resources("AWS::StepFunctions::StateMachine").values()))["Properties"]
    text = machine["DefinitionString"]
    for name in machine["DefinitionSubstitutions"]:
        assert "${" + name + "}" in text
        text = text.replace("${" + name + "}", f"arn-of-{name}")
    assert "${" not in text and "{#" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """Every statement of an identity policy, with the policy it stands in."""
    return [
        (name, statement)
        for name, policy in template.find_resources("AWS::IAM::Policy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_alarm_watches_the_metric_that_is_published(both: Template) -> None:
    both.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": metrics.namespace("fraud"),
            "MetricName": metrics.NAMES["drift"],
            "Dimensions": Match.array_with(
                [{"Name": "model", "Value": "card-fraud"}, {"Name": "team", "Value": "fraud"}]
            ),
            "Statistic": "Maximum",
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Period": 3600,
            "EvaluationPeriods": 2,
            "DatapointsToAlarm": 1,
            "TreatMissingData": "notBreaching",
            "AlarmDescription": Match.string_like_regexp("labcycle models rollback card-fraud"),
            "AlarmActions": [Match.any_value()],
        },
    )
    alarm = alarms_of(both, metrics.NAMES["drift"])[0][1]
    assert len(alarm["AlarmDescription"]) <= 1024 and len(alarm["Dimensions"]) == 2


def test_the_alarm_may_publish_to_an_encrypted_topic_of_the_same_stack(both: Template) -> None:
    arn = {"Fn::GetAtt": [alarms_of(both, metrics.NAMES["drift"])[0][0], "Arn"]}
    cloudwatch_may = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    publish = cloudwatch_may | {"Action": "sns:Publish", "Condition": {"ArnEquals": {"aws:SourceArn": arn}}}
    both.has_resource_properties(
        "AWS::SNS::TopicPolicy", {"PolicyDocument": {"Statement": Match.array_with([Match.object_like(publish)])}}
    )
    use = cloudwatch_may | {"Action": ["kms:Decrypt", "kms:GenerateDataKey"]}
    both.has_resource_properties(
        "AWS::KMS::Key", {"KeyPolicy": {"Statement": Match.array_with([Match.object_like(use)])}}
    )


def test_a_topic_of_another_stack_keeps_its_policy() -> None:
    bench = Bench()
    arn = "arn:aws:sns:eu-west-1:123456789012:labcycle-fraud-notices"
    bench.monitor(notice_topic=sns.Topic.from_topic_arn(bench.stack, "Imported", arn))
    bench.template().resource_count_is("AWS::SNS::TopicPolicy", 0)


@pytest.mark.parametrize(("minutes", "period"), [(1, 60), (90, 5400), (1440, 86400), (10080, 302400)])
def test_the_alarm_looks_back_over_two_evaluations_but_a_week_at_most(minutes: int, period: int) -> None:
    bench = Bench()
    bench.monitor(drift=Drift(every_minutes=minutes))
    bench.template().has_resource_properties("AWS::CloudWatch::Alarm", {"Period": period})


def test_the_schedule_has_a_zone_a_dead_letter_queue_and_tells_its_time(both: Template) -> None:
    both.has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpression": "rate(60 minutes)",
            "ScheduleExpressionTimezone": "Etc/UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Input": '{"scheduled_time": "<aws.scheduler.scheduled-time>"}',
                "DeadLetterConfig": {"Arn": Match.any_value()},
                "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 5},
                "RoleArn": Match.any_value(),
            },
        },
    )
    both.all_resources_properties("AWS::SQS::Queue", {"SqsManagedSseEnabled": True})


def test_what_a_construct_alone_could_not_do_lies_in_a_queue_with_an_alarm(both: Template) -> None:
    letters = alarms_of(both, "ApproximateNumberOfMessagesVisible")
    queues = both.find_resources("AWS::SQS::Queue")
    named = {alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for _, alarm in letters}
    assert named == set(queues) and len(queues) == 2
    for _, alarm in letters:
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")
        assert alarm["AlarmActions"] and len(alarm["AlarmDescription"]) <= 1024


def test_an_evaluation_that_fails_for_good_lies_there_too(both: Template) -> None:
    [config] = both.find_resources("AWS::Lambda::EventInvokeConfig").values()
    destination = config["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    schedule = next(iter(both.find_resources("AWS::Scheduler::Schedule").values()))["Properties"]["Target"]
    assert destination == schedule["DeadLetterConfig"]["Arn"]
    assert schedule["Arn"]["Fn::GetAtt"][0] == config["Properties"]["FunctionName"]["Ref"]
    [role] = both.find_resources(
        "AWS::Lambda::Function", {"Properties": {"Description": "Evaluator of card-fraud, team fraud"}}
    ).values()
    sending = [s["Resource"] for name, s in statements(both) if "sqs:SendMessage" in listed(s["Action"])]
    assert sending == [destination, destination] and role


def test_queues_of_others_are_used_as_they_are() -> None:
    bench = Bench()
    arn = "arn:aws:sqs:eu-west-1:123456789012:labcycle-fraud-dead-letters"
    queue = sqs.Queue.from_queue_arn(bench.stack, "Letters", arn)
    monitor = bench.monitor(dead_letters=queue)
    bench.reaction(alarms={"drift": monitor.alarm}, dead_letters=queue)
    template = bench.template()
    template.resource_count_is("AWS::SQS::Queue", 0)
    template.resource_count_is("AWS::CloudWatch::Alarm", 1)
    for rule in template.find_resources("AWS::Events::Rule").values():
        assert [target["DeadLetterConfig"] for target in rule["Properties"]["Targets"]] == [{"Arn": arn}]


def test_one_minute_is_written_as_the_scheduler_wants_it() -> None:
    bench = Bench()
    bench.monitor(drift=Drift(every_minutes=1))
    bench.template().has_resource_properties("AWS::Scheduler::Schedule", {"ScheduleExpression": "rate(1 minute)"})


def test_the_functions_can_read_their_settings(both: Template) -> None:
    drift = EvaluatorEnvironment.read(environment_of(both, "Evaluator of card-fraud, team fraud")).drift
    assert (drift.method, drift.threshold, drift.minimum_rows, drift.persistence) == ("psi", 0.2, 500, 3)
    assert (drift.window.total_seconds(), drift.cohorts) == (24 * 3600, ())
    reaction = ReactionEnvironment.read(environment_of(both, "Steps of the reaction of card-fraud, team fraud"))
    (policy,), training = reaction.policies.each, reaction.policies.training
    assert training and (training.metric, training.minimum_gain, training.usd_hour) == ("accuracy", 0, 0.115)
    assert (policy.promote, policy.cool_down.total_seconds()) == ("after_review", 24 * 3600)
    whole = reaction.longest + policy.review
    assert whole.total_seconds() == definition_of(both)["TimeoutSeconds"]


def test_the_rule_starts_the_machine_on_a_change_to_alarm_alone(both: Template) -> None:
    both.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventBusName": Match.absent(),
            "EventPattern": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "resources": [Match.any_value()],
                "detail": {"state": {"value": ["ALARM"]}},
            },
            "Targets": [
                Match.object_like({"DeadLetterConfig": {"Arn": Match.any_value()}, "RoleArn": Match.any_value()})
            ],
        },
    )


def test_a_machine_that_runs_out_of_time_is_told(both: Template) -> None:
    machine = next(iter(both.find_resources("AWS::StepFunctions::StateMachine")))
    both.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {"status": ["TIMED_OUT"], "stateMachineArn": [{"Ref": machine}]},
            },
            "Targets": [
                Match.object_like(
                    {
                        "Arn": Match.any_value(),
                        "RoleArn": Match.absent(),
                        "InputTransformer": {
                            "InputPathsMap": {"detail-name": "$.detail.name"},
                            "InputTemplate": Match.string_like_regexp("ran out of time.*<detail-name>"),
                        },
                    }
                )
            ],
        },
    )
    # EventBridge sends neither topic nor key a source: a condition would drop the event.
    rules_may = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Condition": Match.absent()}
    publish, use = rules_may | {"Action": "sns:Publish"}, rules_may | {"Action": ["kms:Decrypt", "kms:GenerateDataKey"]}
    both.has_resource_properties(
        "AWS::SNS::TopicPolicy", {"PolicyDocument": {"Statement": Match.array_with([Match.object_like(publish)])}}
    )
    both.has_resource_properties(
        "AWS::KMS::Key", {"KeyPolicy": {"Statement": Match.array_with([Match.object_like(use)])}}
    )


WAITS = ("WaitForReview", "WaitOnForReview")


def test_every_task_ends_is_repeated_with_jitter_and_has_a_way_out(both: Template) -> None:
    definition = definition_of(both)
    assert definition["QueryLanguage"] == "JSONata"
    states = definition["States"]
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task"}
    for name, task in tasks.items():
        assert task["TimeoutSeconds"] == "{% $begun.review_seconds %}" if name in WAITS else task["TimeoutSeconds"] > 0
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        assert all(catch["Next"] in states for catch in task["Catch"])
        for retry in task.get("Retry", []):
            assert retry["JitterStrategy"] == "FULL" and retry["MaxDelaySeconds"] > 0, name
        # A training start is not idempotent, and a token is answered once.
        assert ("Retry" in task) == (name not in ("Train", *WAITS)), name
    training = ("Begin", "Train", "Register", "Compare", "Promote")
    review = 72 * 3600
    assert sum(tasks[name]["TimeoutSeconds"] for name in training) + review <= definition["TimeoutSeconds"]


def test_what_fails_is_marked_and_a_redrive_finds_its_way_back(both: Template) -> None:
    """A Fail would fail again in a redrive: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html"""
    states = definition_of(both)["States"]
    assert not [name for name, state in states.items() if state["Type"] == "Fail"]
    back = {choice["Condition"].split("'")[1]: choice["Next"] for choice in states["GoOn"]["Choices"]}
    back["Begin"] = states["GoOn"]["Default"]
    marked = {name for name, state in states.items() if state.get("Catch", [{}])[-1].get("Next") == "MarkFailed"}
    assert set(back) == (marked - {"Resume"}) | {"Notify"}
    assert all(name == following for name, following in back.items())
    for name in set(back) - {"Begin"}:
        assert states[name]["Catch"][-1]["Assign"]["failed_at"] == name
    assert "Default" not in states["Stopped"] and [one["Next"] for one in states["Stopped"]["Choices"]] == ["Resume"]


def test_every_state_can_be_reached_and_every_next_is_there(both: Template) -> None:
    definition = definition_of(both)
    states = definition["States"]
    reached, to_do = set(), [definition["StartAt"]]
    while to_do:
        name = to_do.pop()
        if name in reached:
            continue
        reached.add(name)
        to_do += re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(states[name]))
    assert reached == set(states)


def test_each_decision_has_a_step_of_its_own(both: Template) -> None:
    states = definition_of(both)["States"]

    def ways(name: str) -> dict[str, str]:
        return {re.findall(r"'(\w+)'", choice["Condition"])[0]: choice["Next"] for choice in states[name]["Choices"]}

    compared = {**ways("Decide"), "keep": states["Decide"]["Default"]}
    assert compared.keys() == {*Verdict, "review"}
    reviewed = {**ways("FollowReview"), "leave": states["FollowReview"]["Default"]}
    assert reviewed.keys() == {*Verdict, "leave"}
    for decision, name in (compared | reviewed).items():
        assert states[name]["Arguments"]["Payload"]["action"] == ("ask" if decision == "review" else decision)


def test_the_training_job_is_closed_encrypted_and_limited(both: Template) -> None:
    job = definition_of(both)["States"]["Train"]["Arguments"]
    assert job["AlgorithmSpecification"]["ContainerEntrypoint"] == ["python", "/opt/ml/input/data/recipe/train.py"]
    assert job["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert job["EnableNetworkIsolation"] is True
    assert job["OutputDataConfig"]["KmsKeyId"] == job["ResourceConfig"]["VolumeKmsKeyId"] == "arn-of-Key"
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == ["recipe", "training"]


@pytest.mark.parametrize(
    ("instance_type", "encrypted"),
    [
        ("ml.m5.large", True),
        ("ml.g5.xlarge", False),
        ("ml.g4dn.xlarge", False),
        ("ml.m5d.large", False),
        ("ml.p3.2xlarge", True),
        ("ml.p4d.24xlarge", False),
        ("ml.c7i.large", True),
    ],
)
def test_only_disks_that_take_a_key_are_given_one(instance_type: str, encrypted: bool) -> None:
    bench = Bench()
    bench.reaction(retrain=Retrain(image=IMAGE, instance_type=instance_type))
    resources = definition_of(bench.template())["States"]["Train"]["Arguments"]["ResourceConfig"]
    assert ("VolumeKmsKeyId" in resources) is encrypted


def test_actions_are_named_and_only_what_has_no_resource_has_none(both: Template) -> None:
    for name, statement in statements(both):
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            assert "*" not in action, (name, action)
            if "*" in listed(statement["Resource"]):
                assert action in WITHOUT_RESOURCE, (name, action)
            if action == "cloudwatch:PutMetricData":
                assert statement["Condition"]["StringEquals"]["cloudwatch:namespace"]


def test_a_role_is_passed_to_sagemaker_alone(both: Template) -> None:
    [passing] = [s for _, s in statements(both) if "iam:PassRole" in listed(s["Action"])]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passing["Resource"] == {"Fn::GetAtt": [role_id(both, "TrainingRole"), "Arn"]}


def role_id(template: Template, part: str) -> str:
    return next(name for name in template.find_resources("AWS::IAM::Role") if part in name)


def test_the_machine_may_run_a_training_job_to_its_end(both: Template) -> None:
    """All that `.sync` takes: https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html"""
    [jobs] = [s for _, s in statements(both) if "sagemaker:CreateTrainingJob" in listed(s["Action"])]
    verbs = {"AddTags", "CreateTrainingJob", "DescribeTrainingJob", "ListTags", "StopTrainingJob"}
    assert {f"sagemaker:{verb}" for verb in verbs} == set(listed(jobs["Action"]))
    [rule] = [s for _, s in statements(both) if "events:PutRule" in listed(s["Action"])]
    assert {"events:DescribeRule", "events:PutRule", "events:PutTargets"} == set(listed(rule["Action"]))
    assert "StepFunctionsGetEventsForSageMakerTrainingJobsRule" in json.dumps(rule["Resource"])


def test_training_jobs_are_allowed_by_the_name_that_the_function_gives(both: Template) -> None:
    [jobs] = [s for _, s in statements(both) if "sagemaker:CreateTrainingJob" in listed(s["Action"])]
    allowed = json.dumps(jobs["Resource"])
    assert "training-job/labcycle-fraud-card-fraud-*" in allowed
    name = job_name_of("fraud", "card-fraud", "an-execution")
    assert name.startswith("labcycle-fraud-card-fraud-") and re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)


def test_training_reads_recipe_and_data_and_writes_archives_alone(both: Template) -> None:
    role = role_id(both, "TrainingRole")
    policy = next(
        p["Properties"]["PolicyDocument"]["Statement"]
        for p in both.find_resources("AWS::IAM::Policy").values()
        if p["Properties"]["Roles"] == [{"Ref": role}]
    )
    by_action = {action: json.dumps(s["Resource"]) for s in policy for action in listed(s["Action"])}
    assert "/training/card-fraud/*" in by_action["s3:PutObject"] and "experiments" not in by_action["s3:PutObject"]
    assert "recipe/*" in by_action["s3:GetObject"] and "/data/card-fraud/*" in by_action["s3:GetObject"]
    assert "repository/team/training" in by_action["ecr:BatchGetImage"]
    assert not any(action.startswith(("dynamodb", "iam", "lambda", "sts")) for action in by_action)


def test_logs_are_encrypted_and_named_for_vended_delivery(both: Template) -> None:
    both.all_resources_properties("AWS::Logs::LogGroup", {"KmsKeyId": Match.any_value()})
    both.has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": "/aws/vendedlogs/labcycle/fraud/reaction-card-fraud"}
    )
    both.all_resources_properties("AWS::Lambda::Function", {"TracingConfig": {"Mode": "Active"}})
    both.has_resource_properties("AWS::StepFunctions::StateMachine", {"TracingConfiguration": {"Enabled": True}})


def reaction(on: str, do: str, **settings: Any) -> Reaction:
    return Reaction.model_validate({"on": (on,), "do": do, **settings})


@pytest.mark.parametrize(
    ("policies", "settings", "said"),
    [
        ([], {"model": "m" * 50}, "Shorten the model's name"),
        ([reaction("drift", "tell"), reaction("drift", "pause")], {}, "policies: got drift in two of them"),
        ([], {"retrain": None}, "retrain: got none; a policy that retrains needs it"),
        ([], {"policies": []}, "policies: got none"),
        (
            [reaction("drift", "retrain", monthly_budget_usd=5)],
            {"retrain": Retrain(image=IMAGE, instance_type="ml.p5.48xlarge")},
            r"monthly_budget_usd with the instance type ml.p5.48xlarge, whose price is not known; allowed are ml.c5",
        ),
    ],
)
def test_a_reaction_refuses_what_could_not_work(policies: list[Reaction], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Bench().reaction(*policies, **settings)


def test_without_a_retraining_there_is_nothing_of_a_training() -> None:
    bench = Bench()
    bench.reaction(reaction("drift", "pause"), reaction("manual", "tell"))
    template = bench.template()
    assert not [
        name for name in template.find_resources("AWS::IAM::Role") if "Training" in name.removeprefix("Retraining")
    ]
    assert "sagemaker" not in json.dumps(template.find_resources("AWS::IAM::Policy"))
    states = definition_of(template)["States"]
    assert {"Pause", "Tell"} <= states.keys() and not {"Train", "TakeBack", "WaitForReview"} & states.keys()
    function = environment_of(template, "Steps of the reaction of card-fraud, team fraud")
    assert ReactionEnvironment.read(function).policies.training is None
    template.has_resource_properties("AWS::Lambda::Function", {"MemorySize": 1024})


def test_each_cause_starts_its_policy() -> None:
    bench = Bench()
    alarms = {
        cause: cloudwatch.Alarm.from_alarm_arn(
            bench.stack, cause, f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{cause}"
        )
        for cause in ("drift", "performance", "business", "freshness")
    }
    weekly = reaction("schedule", "retrain", schedule="cron(0 3 ? * SUN *)", time_zone="Europe/Berlin")
    bench.reaction(
        Reaction(on=("drift", "business"), do="roll_back"), reaction("performance", "pause"), weekly, alarms=alarms
    )
    template = bench.template()
    started = {}
    for rule in template.find_resources("AWS::Events::Rule").values():
        pattern = rule["Properties"]["EventPattern"]
        if pattern["source"] == ["aws.cloudwatch"]:
            [target] = rule["Properties"]["Targets"]
            started[pattern["resources"][0].rpartition(":")[2]] = target["InputTransformer"]
    assert {
        alarm: json.loads(said["InputTemplate"].replace("<time>", '"<time>"')) for alarm, said in started.items()
    } == {
        cause: {"policy": number, "cause": cause, "noticed_at": "<time>"}
        for cause, number in (("drift", 0), ("business", 0), ("performance", 1))
    }
    template.has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpression": "cron(0 3 ? * SUN *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "Target": {"Input": '{"policy": 2, "cause": "schedule"}'},
        },
    )


def test_what_would_be_done_is_published(both: Template) -> None:
    parameters = both.find_resources(
        "AWS::SSM::Parameter", {"Properties": {"Name": "/labcycle/team/fraud/model/card-fraud/policies"}}
    )
    [found] = parameters.values()
    text = "".join(part if isinstance(part, str) else "arn" for part in found["Properties"]["Value"]["Fn::Join"][1])
    published = json.loads(text)
    assert published["machine"] == "arn"
    function = json.loads(environment_of(both, "Steps of the reaction of card-fraud, team fraud")["POLICIES"])
    assert {**function, "machine": "arn"} == published
