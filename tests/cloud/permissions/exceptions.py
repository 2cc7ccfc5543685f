"""Rights that nothing uses in the tests: each is used by a service in the role's name where no emulator does it."""

from __future__ import annotations

from tests.cloud.permissions.rights import Exempt

EXCEPTIONS = (
    Exempt(
        "function: *",
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        "Lambda's runtime writes the function's log in the name of its role.",
        source="https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
    ),
    Exempt(
        "function: *",
        ("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
        "Lambda's runtime sends the traces of the function in the name of its role.",
        source="https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html",
    ),
    Exempt(
        "function: tracking",
        ("dynamodb:ConditionCheckItem",),
        "Runs are packed for searches when 32 of them have ended; the packing checks that none changed meanwhile.",
        source="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html",
    ),
    Exempt(
        "function: tracking",
        ("s3:GetObjectVersion",),
        "The function signs addresses of versions' files with it; it is their holder who asks S3.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html",
    ),
    Exempt(
        "function: outbox",
        ("sqs:SendMessage",),
        "Lambda tells of what could not be sent for 23 hours in the name of the function's role.",
        source="https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html",
    ),
    Exempt(
        "state machine of *",
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        "Step Functions sets up the delivery of the machine's log in the name of its role.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    ),
    Exempt(
        "state machine of *",
        (
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ),
        "Step Functions sends the traces of executions in the name of the machine's role.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html",
    ),
    *(
        Exempt(
            f"member: {persona}",
            ("logs:DescribeQueryDefinitions", "logs:GetQueryResults", "logs:StartQuery", "logs:StopQuery"),
            "People run the saved queries of a model in the console of CloudWatch.",
            source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_Insights-Saving-Queries.html",
        )
        for persona in ("data_scientist", "lead", "operator", "reviewer")
    ),
    Exempt(
        "training job",
        ("logs:CreateLogGroup", "logs:DescribeLogStreams"),
        "CloudWatch Logs is documented to name the group alone, and was seen to name it with an empty stream, which is used.",
        resource="*:log-group:/aws/sagemaker/TrainingJobs",
        source="https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html",
    ),
    Exempt(
        "function: reaction",
        ("s3:ListBucket",),
        "Without it S3 answers 403 instead of 404 for an archive that a training job did not leave; no call lists there.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html",
    ),
    Exempt(
        "workspace",
        (
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ),
        "Session Manager's agent on the machine registers and opens its channels in the name of the machine's role.",
        source="https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html",
    ),
    Exempt(
        "member: data_scientist",
        ("ssm:StartSession",),
        "AWS's document lives in no account and is asked for so; where it is shared into the account, it is asked for there.",
        resource="*:123456789012:document/AWS-StartPortForwardingSession",
    ),
    Exempt(
        "member: data_scientist",
        ("ssm:StartSession",),
        "The shell's document is AWS's until the account's first preferences are set, and then the account's, as it is used.",
        resource="*::document/SSM-SessionManagerRunShell",
    ),
    Exempt(
        "member: operator",
        ("states:DescribeExecution", "states:GetExecutionHistory", "states:StopExecution"),
        "One statement for machine and executions, as a role holds few characters; these know executions alone, so that the pair "
        "with the machine allows nothing.",
        resource="*:stateMachine:*",
    ),
    Exempt(
        "member: operator",
        ("states:ListExecutions", "states:StartExecution"),
        "One statement for machine and executions, as a role holds few characters; these know machines alone, so that the pair "
        "with the executions allows nothing.",
        resource="*:execution:*",
    ),
    Exempt(
        "member: operator",
        ("states:RedriveExecution",),
        "No emulator lets an execution go on where it failed; operators do so when the cause is mended.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html",
    ),
    Exempt(
        "function: lifecycle",
        ("states:SendTaskSuccess",),
        "A review ends the wait of a reaction, which no model of these teams has; tests/cloud/monitoring tries it with its rights.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html",
    ),
)
