"""The names that are a contract: they are typed by people, or one stack finds another's resource by them.

Everything else gets its name from CloudFormation.
"""

from __future__ import annotations

import hashlib
from typing import Literal

_STATE_MACHINE_LENGTH = 80
_ENDPOINT_LENGTH = 63
BOUNDARY_PATH = "/"
Waiting = Literal["asked", "in", "out", "failed"]
# Keys of a template's metadata, by which the gate learns what a file says.
COMPLIANCE_METADATA = "labcycle:compliance"
QUOTAS_METADATA = "labcycle:quotas"


def target_stage(target: str) -> str:
    return f"labcycle-target-{target}"


def team_stage(team: str) -> str:
    return f"labcycle-{team}"


def model_stack(model: str) -> str:
    return f"model-{model}"


JOB_STOPPED = "labcycle: stopped"  # how the reason begins for which a member ends a job


def network_parameter(network: str, key: str) -> str:
    """SSM parameter through which a target's network is published; `key` is `vpc-id`, `vpc-cidr` or `private-subnet-ids`."""
    return f"/labcycle/network/{network}/{key}"


def tracking_url_parameter(team: str) -> str:
    """SSM parameter that holds the address of a team's tracking API."""
    return f"/labcycle/team/{team}/tracking-url"


def token_url_parameter(team: str, issuer: str) -> str:
    """SSM parameter that holds the address of a team's tracking API for the tokens of an issuer."""
    return f"/labcycle/team/{team}/tracking-url-{issuer}"


def token_url_output(issuer: str) -> str:
    """Output of the tracking stack that holds the same."""
    return "TrackingUrl" + "".join(part.title() for part in issuer.split("-"))


def boundary(team: str) -> str:
    return f"labcycle-{team}-boundary"


def role_path(team: str) -> str:
    """IAM path of all roles of a team, by which policies tell them from those of any other team."""
    return f"/labcycle/{team}/"


def ledger_table(team: str) -> str:
    return f"labcycle-{team}-ledger"


def bucket(team: str, kind: str, account: str, region: str) -> str:
    """Bucket of a team; `kind` is `artifacts`, `logs` or `anchors`. Account and region make it globally unique."""
    return f"labcycle-{team}-{kind}-{account}-{region}"


def notice_topic(team: str) -> str:
    return f"labcycle-{team}-notices"


def dead_letter_queue(team: str) -> str:
    """Queue of the team's calls that could not be delivered, or failed for good."""
    return f"labcycle-{team}-dead-letters"


def event_bus(team: str) -> str:
    return f"labcycle-{team}"


def member_role(team: str, member: str) -> str:
    """Role that a member signs in to; its session name is pinned to the member's name."""
    return f"labcycle-{team}-{member}"


def workspace_role(team: str, member: str) -> str:
    """Role of a member's workspaces; the ledger reads the member from it."""
    return f"labcycle-{team}-{member}-workspace"


def job_role(team: str, member: str) -> str:
    """Role of a member's jobs; the ledger reads the member from it."""
    return f"labcycle-{team}-{member}-job"


def job_definition(team: str, member: str) -> str:
    """Job definition of AWS Batch that a member's jobs are made from."""
    return f"labcycle-{team}-{member}"


def job_queue(team: str, kind: str) -> str:
    """Queue of AWS Batch; `kind` is `cpu` or `gpu`."""
    return f"labcycle-{team}-{kind}"


def job_log_group(team: str) -> str:
    """Where jobs write what they say."""
    return f"labcycle-{team}-jobs"


def compute_parameter(team: str) -> str:
    """SSM parameter that tells what queues there are for jobs, as JSON."""
    return f"/labcycle/team/{team}/compute"


def sweep_prefix(sweep: str = "") -> str:
    """Where in the artifact bucket lies what a sweep is made of; without one, all of them. Below `data/`, where members may write."""
    return f"data/sweeps/{sweep}/" if sweep else "data/sweeps/"


def metric_namespace(team: str) -> str:
    """CloudWatch namespace of a team's own metrics; the rights to publish are bounded by it, since they take no resource."""
    return f"labcycle/{team}"


def launch_template(team: str, member: str, tier: str) -> str:
    """Launch template by which a member starts a workspace of a hardware tier."""
    return f"labcycle-{team}-{member}-{tier}"


def model_server_memory_parameter(team: str, model: str) -> str:
    """SSM parameter that holds the memory of a model's server in MB; the life cycle function reads it before a promotion."""
    return f"/labcycle/team/{team}/model/{model}/memory-mb"


def model_server_runs_on_parameter(team: str, model: str) -> str:
    """SSM parameter that tells what a model's server runs on, with the keys of the team file; the life cycle function reads it."""
    return f"/labcycle/team/{team}/model/{model}/runs-on"


def declared_parameter(team: str, model: str) -> str:
    """SSM parameter that tells what the team file says of a model's owner, its monitoring and its reactions, as JSON; the life cycle
    function reads it."""
    return f"/labcycle/team/{team}/model/{model}/declared"


def shadow_parameter(team: str, model: str) -> str:
    """SSM parameter that tells where a model's shadow runs: `function` or `process`; the life cycle function reads it."""
    return f"/labcycle/team/{team}/model/{model}/shadow"


def model_server_runtime_parameter(team: str, model: str) -> str:
    """SSM parameter that holds what a model's server is made from, where that is not ONNX; promotions are held against it."""
    return f"/labcycle/team/{team}/model/{model}/runtime"


def records_parameter(team: str, model: str) -> str:
    """SSM parameter that tells what is kept of the records of a model that is served elsewhere, as JSON; the life cycle function reads it."""
    return f"/labcycle/team/{team}/model/{model}/records"


def model_parameters(team: str) -> str:
    """All SSM parameters of a team's models, as a pattern: a role holds few characters, and nothing in them is secret."""
    return f"/labcycle/team/{team}/model/*"


def model_url_parameter(team: str, model: str) -> str:
    """SSM parameter that holds the address of a model's API."""
    return f"/labcycle/team/{team}/model/{model}/url"


def consumers_parameter(team: str, model: str) -> str:
    """SSM parameter that holds who may ask the API of a model, and the ids of their keys: JSON, never a key itself."""
    return f"/labcycle/team/{team}/model/{model}/consumers"


def dashboard(team: str, model: str) -> str:
    """CloudWatch dashboard of a model; people look for it by its name."""
    return f"labcycle-{team}-{model}"


def saved_query(team: str, model: str, query: str) -> str:
    """Saved query of CloudWatch Logs Insights; the console shows slashes as folders."""
    return f"labcycle/{team}/{model}/{query}"


def rest_api(team: str, model: str) -> str:
    """Name of the REST API of a model that has consumers; its metrics are found by it."""
    return f"labcycle-{team}-{model}"


def batch_parameter(team: str, model: str) -> str:
    """SSM parameter that holds the ARN of the state machine that scores a model's batches."""
    return f"/labcycle/team/{team}/model/{model}/batch"


def promotion_parameter(team: str, model: str) -> str:
    """SSM parameter that holds the ARN of the state machine that promotes versions of a model."""
    return f"/labcycle/team/{team}/model/{model}/promotion"


def policies_parameter(team: str, model: str) -> str:
    """SSM parameter that holds what is done when something is found of a model, and the ARN of the state machine that does it."""
    return f"/labcycle/team/{team}/model/{model}/policies"


def promotion_machine(team: str, model: str) -> str:
    """State machine that promotes versions of a model; `*` as the model is all of the team, and of no other. Of a long name of a
    model it has the beginning, and a digest: https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
    """
    return _cut(f"labcycle_{team}_promotion_{model}", _STATE_MACHINE_LENGTH, model)


def endpoint(team: str, model: str) -> str:
    """Endpoint of a model on SageMaker, cut likewise:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
    """
    return _cut(f"labcycle-{team}-{model}", _ENDPOINT_LENGTH, model)


def asynchronous_prefix(kind: Waiting, model: str = "") -> str:
    """Where in the artifact bucket lies what was asked of a model that answers later, and its answers; without a model, of all."""
    return f"asynchronous/{kind}/{model}/" if model else f"asynchronous/{kind}/"


def model_log_groups(team: str) -> tuple[str, str, str]:
    """The log groups of all models of a team, as patterns: what CloudFormation names after their stacks, the logs of their APIs, and of
    their endpoints."""
    return (
        f"labcycle-{team}-{model_stack('*')}",
        f"/aws/vendedlogs/labcycle/{team}/{model_stack('*')}",
        f"/aws/sagemaker/Endpoints/labcycle-{team}-*",
    )


def prediction_prefix(model: str = "") -> str:
    """Where in the artifact bucket lies what a model predicted; without one, what all did."""
    return f"predictions/{model}/" if model else "predictions/"


def endpoint_log_group(team: str, model: str) -> str:
    """Where SageMaker writes what the endpoint's containers say; the name is SageMaker's."""
    return f"/aws/sagemaker/Endpoints/{endpoint(team, model)}"


def _cut(name: str, length: int, model: str) -> str:
    if len(name) <= length:
        return name
    digest = hashlib.sha256(model.encode()).hexdigest()[:12]
    return f"{name[: length - len(digest) - 1]}-{digest}"


def training_job_prefix(team: str, model: str) -> str:
    """How the names of a model's training jobs begin; roles allow its jobs by it."""
    return f"labcycle-{team}-{model}-"
