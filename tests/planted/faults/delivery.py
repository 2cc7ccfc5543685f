"""What fires, and nobody hears."""

from __future__ import annotations

from tests.planted.draft import Draft, fault

FOUNDATION = "labcycle-growth-foundation"
FRAUD_FOUNDATION = "labcycle-fraud-foundation"
MODEL = "labcycle-fraud-model-card-fraud"


@fault(FOUNDATION, "alarm-has-action")
def silent_alarm(draft: Draft) -> str:
    """The alarm on dead letters tells nobody."""
    alarm = draft.find("AWS::CloudWatch::Alarm")
    del draft.properties(alarm)["AlarmActions"]
    return alarm


@fault(FOUNDATION, "alarm-actions-enabled")
def alarm_with_actions_switched_off(draft: Draft) -> str:
    """The alarm on dead letters has its actions switched off."""
    alarm = draft.find("AWS::CloudWatch::Alarm")
    draft.properties(alarm)["ActionsEnabled"] = False
    return alarm


@fault(FOUNDATION, "alarm-treats-missing-data")
def missing_data_not_stated(draft: Draft) -> str:
    """The alarm on dead letters does not say what missing data mean."""
    alarm = draft.find("AWS::CloudWatch::Alarm")
    del draft.properties(alarm)["TreatMissingData"]
    return alarm


@fault(FOUNDATION, "delivery-reaches-its-target")
def topic_policy_keeps_alarms_out(draft: Draft) -> str:
    """The topic's policy does not let CloudWatch publish."""
    policy = draft.find("AWS::SNS::TopicPolicy")
    statements = draft.properties(policy)["PolicyDocument"]["Statement"]
    statements[:] = [one for one in statements if one.get("Principal") != {"Service": "cloudwatch.amazonaws.com"}]
    return draft.find("AWS::CloudWatch::Alarm")


@fault(FOUNDATION, "delivery-reaches-its-target")
def key_keeps_alarms_out(draft: Draft) -> str:
    """The key's policy does not let CloudWatch use it for the topic."""
    key = draft.find("AWS::KMS::Key")
    statements = draft.properties(key)["KeyPolicy"]["Statement"]
    statements[:] = [one for one in statements if one["Principal"] != {"Service": "cloudwatch.amazonaws.com"}]
    return draft.find("AWS::CloudWatch::Alarm")


@fault(FOUNDATION, "delivery-reaches-its-target")
def topic_with_the_key_of_sns(draft: Draft) -> str:
    """The topic is encrypted with alias/aws/sns, whose policy lets no alarm use it."""
    draft.properties(draft.find("AWS::SNS::Topic"))["KmsMasterKeyId"] = "alias/aws/sns"
    return draft.find("AWS::CloudWatch::Alarm")


@fault(FRAUD_FOUNDATION, "delivery-reaches-its-target", seen_in=MODEL)
def source_condition_on_rules_in_the_key(draft: Draft) -> str:
    """The key's policy asks EventBridge for aws:SourceAccount, which it does not tell there."""
    key = draft.find("AWS::KMS::Key")
    for statement in draft.properties(key)["KeyPolicy"]["Statement"]:
        if statement["Principal"] == {"Service": "events.amazonaws.com"}:
            statement["Condition"] = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    return draft.find("AWS::Events::Rule", "/OutOfTime/", stack=MODEL)


@fault(MODEL, "delivery-reaches-its-target")
def rule_that_may_not_start_its_target(draft: Draft) -> str:
    """The role of the rule that starts the retraining may not start executions."""
    policy = draft.find("AWS::IAM::Policy", "/StartRole/")
    draft.properties(policy)["PolicyDocument"]["Statement"][0]["Action"] = "states:DescribeStateMachine"
    return draft.find("AWS::Events::Rule", "/Retraining/Rule/")


@fault(MODEL, "schedule-has-dead-letters")
def schedule_without_dead_letters(draft: Draft) -> str:
    """What the schedule cannot deliver is dropped."""
    schedule = draft.find("AWS::Scheduler::Schedule")
    del draft.properties(schedule)["Target"]["DeadLetterConfig"]
    return schedule


@fault(MODEL, "rule-target-has-dead-letters")
def rule_without_dead_letters(draft: Draft) -> str:
    """What the rule cannot deliver is dropped."""
    rule = draft.find("AWS::Events::Rule", "/OutOfTime/")
    del draft.properties(rule)["Targets"][0]["DeadLetterConfig"]
    return rule


@fault(MODEL, "async-function-has-destination")
def failures_of_a_function_dropped(draft: Draft) -> str:
    """What fails in the function that the schedule calls is dropped."""
    del draft.body["Resources"][draft.find("AWS::Lambda::EventInvokeConfig")]
    return draft.find("AWS::Lambda::Function", "/Monitor/")


@fault(FRAUD_FOUNDATION, "failure-is-heard")
def dead_letters_without_alarm(draft: Draft) -> str:
    """Nobody is told that there are dead letters."""
    del draft.body["Resources"][draft.find("AWS::CloudWatch::Alarm")]
    return draft.find("AWS::SQS::Queue")
