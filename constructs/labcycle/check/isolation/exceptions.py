"""Actions that take no resource, so that IAM cannot keep them to a team, and what they let one team know or do."""

from __future__ import annotations

_NAMES = "Answers names, states and settings of the account's resources, none of their data."
_TRACES = "Writes traces of its own calls, and reads the sampling rules; nothing is read back."
_DELIVERY = (
    "Step Functions sets up the delivery of its own log with it. The role is assumed by Step Functions alone, which makes "
    "no other call with it: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"
)
_AGENT = "The agent of Session Manager opens its own instance's channels; they are bound to the instance's identity."

REASONS = {
    "batch:DescribeJobs": "Answers names, states, commands and variables of the account's jobs, none of their data: variables hold no secret, as is checked.",
    "batch:ListJobs": _NAMES,
    "cloudwatch:DescribeAlarms": _NAMES,
    "cloudwatch:GetMetricData": "Answers numbers of all metrics of the account: counts, times and drift, no data rows.",
    "cloudwatch:GetMetricStatistics": "Answers numbers of all metrics of the account: counts, times and drift, no data rows.",
    "cloudwatch:ListMetrics": _NAMES,
    "cloudwatch:PutMetricData": "Bounded by its namespace: that no alarm of another team reads it is checked for each alarm.",
    "dynamodb:ListStreams": "Answers the names of tables and of their streams; no record of a stream.",
    "ec2:DescribeDhcpOptions": _NAMES,
    "ec2:DescribeImages": _NAMES,
    "ec2:DescribeInstanceStatus": _NAMES,
    "ec2:DescribeInstances": _NAMES,
    "ec2:DescribeLaunchTemplateVersions": "Answers the user data of launch templates too: they hold no secret, as is checked.",
    "ec2:DescribeLaunchTemplates": _NAMES,
    "ec2:DescribeNetworkInterfaces": _NAMES,
    "ec2:DescribeSecurityGroups": _NAMES,
    "ec2:DescribeSubnets": _NAMES,
    "ec2:DescribeVolumes": _NAMES,
    "ec2:DescribeVpcs": _NAMES,
    "ecs:DiscoverPollEndpoint": "Answers the address that an instance's agent asks, and nothing of the account.",
    "ecr:GetAuthorizationToken": "Signs in to the registry; each pull is allowed by repository.",
    "logs:CreateLogDelivery": _DELIVERY,
    "logs:DeleteLogDelivery": _DELIVERY,
    "logs:DescribeLogGroups": _NAMES,
    "logs:DescribeQueryDefinitions": "Answers the texts of saved queries: names of fields and of log groups.",
    "logs:DescribeResourcePolicies": _DELIVERY,
    "logs:GetLogDelivery": _DELIVERY,
    "logs:ListLogDeliveries": _DELIVERY,
    "logs:PutResourcePolicy": _DELIVERY,
    "logs:StopQuery": "By the id of a query, which is random and told to who started it; nobody has logs:DescribeQueries, which lists them.",
    "logs:UpdateLogDelivery": _DELIVERY,
    "sagemaker:ListTrainingJobs": _NAMES,
    "ssm:DescribeInstanceInformation": _NAMES,
    "ssm:DescribeSessions": _NAMES,
    "ssm:GetConnectionStatus": "Answers whether an instance's agent is connected, and nothing else.",
    "ssm:UpdateInstanceInformation": _AGENT,
    "ssmmessages:CreateControlChannel": _AGENT,
    "ssmmessages:CreateDataChannel": _AGENT,
    "ssmmessages:OpenControlChannel": _AGENT,
    "ssmmessages:OpenDataChannel": _AGENT,
    "states:SendTaskSuccess": "By the token of a task, which is random and told to the task alone; the team's own ledger keeps it.",
    "xray:GetSamplingRules": _TRACES,
    "xray:GetSamplingTargets": _TRACES,
    "xray:PutTelemetryRecords": _TRACES,
    "xray:PutTraceSegments": _TRACES,
}
"""Why an action that cannot be kept to a team is no break of isolation."""
