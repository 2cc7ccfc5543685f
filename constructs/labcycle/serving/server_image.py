"""The container image of the model server, built in the account when the stack is deployed."""

from __future__ import annotations

import json

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle._assets import beside_lock, image_context, package_directory
from labcycle._functions import log_group, python_function
from labcycle._grants import allow
from labcycle._runtime import ModelRuntime
from labcycle._templates import render
from labcycle.config import names

PORT = 8080
USER = 10001
RUNTIMES_FOLDER = "/opt/runtimes"  # below it the packages of the next runtime, by its digest
# python:3.13-slim as public repositories pin it in 2026, there and on Docker Hub; it could not be pulled where this was written.
BASE_IMAGE = (
    "public.ecr.aws/docker/library/python:3.13-slim"
    "@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285"
)
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
_BUILD_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
_BUILD_MINUTES = 20
_IMAGES_KEPT = 20
_PACKAGES = ("ledger", "model_server", "profiles")
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


class ServerImage(Construct):
    """An image repository, and a build that puts the model server into it before anything that depends on `ready`.

    The image's tag is the hash of what it is built from, and tags are never moved: the same code is built once. A build that
    fails fails the deployment. One build takes about three minutes (0.015 USD); images cost 0.10 USD a GB and month (us-east-1,
    January 2026, estimate).

    Parameters
    ----------
    encryption_key
        Encrypts images and logs.
    base_image
        What the image begins with, by digest.
    runtime
        What versions are loaded with. Absent: ONNX Runtime.
    accelerated
        ONNX Runtime for GPUs of NVIDIA, with its libraries of CUDA (about 3 GB). Absent: for processors.

    Raises
    ------
    ValueError
        If a lock of `runtime` has no hashes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        team: str,
        model: str,
        encryption_key: kms.IKey,
        base_image: str = BASE_IMAGE,
        retain_logs: bool = False,
        runtime: ModelRuntime | None = None,
        accelerated: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        self._team, self._key = team, encryption_key
        folder = str(image_context(context_files(base_image, runtime, accelerated=accelerated), _PACKAGES))
        context = s3_assets.Asset(self, "Context", path=folder, exclude=["__pycache__"])  # who runs it there leaves one
        self.tag = context.asset_hash
        self.repository = ecr.Repository(
            self,
            "Repository",
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=encryption_key,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_IMAGES_KEPT)],
            removal_policy=RemovalPolicy.DESTROY,  # it is built again from the same code
            empty_on_delete=True,
        )
        project = self._project(model, context, retain_logs)
        starter = python_function(
            self,
            "Starter",
            folder="image_build",
            team=team,
            description=f"Begins the build of the server image of {model}, team {team}",
            environment={"PROJECT": project.ref},
            memory_mib=256,
            timeout=Duration.seconds(60),
            key=encryption_key,
            retain_logs=retain_logs,
        )
        allow(starter, ["codebuild:StartBuild"], [project.attr_arn])
        self.ready = CustomResource(
            self,
            "Built",
            service_token=starter.function_arn,
            resource_type="Custom::LabcycleImage",
            properties={"Tag": self.tag},
            service_timeout=Duration.minutes(_BUILD_MINUTES + 10),
        )
        self.ready.node.add_dependency(project, starter, self._role)
        self.uri = f"{self.repository.repository_uri}:{self.tag}"

    def let_fetch(self, role: iam.IGrantable) -> None:
        """Let `role` fetch the image."""
        allow(role, ["ecr:GetAuthorizationToken"], ["*"])  # it takes no resource
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        allow(role, pull, [self.repository.repository_arn])

    def _project(self, model: str, context: s3_assets.Asset, retain_logs: bool) -> codebuild.CfnProject:
        group = log_group(self, "BuildLog", key=self._key, retain=retain_logs)
        self._role = role = iam.Role(
            self,
            "BuildRole",
            path=names.role_path(self._team),
            assumed_by=iam.ServicePrincipal(
                "codebuild.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
            ),
            description=f"Builds the server image of {model}, team {self._team}",
        )
        allow(role, ["logs:CreateLogStream", "logs:PutLogEvents"], [group.log_group_arn])
        allow(role, ["s3:GetObject"], [context.bucket.arn_for_objects(context.s3_object_key)])
        allow(role, ["ecr:GetAuthorizationToken"], ["*"])  # it takes no resource
        allow(role, _PUSH, [self.repository.repository_arn])
        commands = render("serving/build_image.sh.j2", context=f"s3://{context.s3_bucket_name}/{context.s3_object_key}")
        project = codebuild.CfnProject(
            self,
            "Project",
            description=f"Server image of {model}, team {self._team}",
            service_role=role.role_arn,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            source=codebuild.CfnProject.SourceProperty(
                type="NO_SOURCE",
                build_spec=json.dumps({"version": "0.2", "phases": {"build": {"commands": [commands]}}}),
            ),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="LINUX_CONTAINER",
                compute_type="BUILD_GENERAL1_SMALL",
                image=_BUILD_IMAGE,
                privileged_mode=True,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(
                        name="REPOSITORY", value=self.repository.repository_uri
                    )
                ],
            ),
            encryption_key=self._key.key_arn,
            timeout_in_minutes=_BUILD_MINUTES,
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=group.log_group_name
                )
            ),
        )
        acknowledge(project, E3050="The role is named by its ARN already; the rule takes any reference for its name.")
        return project


def context_files(
    base_image: str = BASE_IMAGE, runtime: ModelRuntime | None = None, *, accelerated: bool = False
) -> dict[str, str]:
    """What lies beside the server's code where the image is built. Raises `ValueError` where a lock of `runtime` has no hashes, or is to
    compute on a GPU."""
    folder = package_directory("labcycle_templates") / "serving"
    own = (folder / "container-requirements.txt").read_text(encoding="utf-8")
    beside = runtime.next if runtime else None
    if any(one is not None and not one.lock.hashed for one in (runtime, beside)):
        raise ValueError(
            "lock: got pins without hashes; the image is built in the account, where nothing else holds them."
        )
    if runtime is not None and accelerated:
        raise ValueError(
            "accelerated: got it with a lock; allowed without, since only models in ONNX compute on a GPU."
        )
    if accelerated:
        for_processors = [line for line in own.splitlines(keepends=True) if not line.startswith("onnxruntime==")]
        own = "".join(for_processors) + (folder / "gpu-requirements.txt").read_text(encoding="utf-8")
    next_folder = f"{RUNTIMES_FOLDER}/{beside.digest}" if beside else ""
    return {
        "Dockerfile": render(
            "serving/Dockerfile.j2",
            base_image=base_image,
            port=PORT,
            user=USER,
            next_folder=next_folder,
            accelerated=accelerated,
        ),
        "requirements.txt": own if runtime is None else beside_lock(own, runtime.lock) + runtime.lock.text,
        **({"next-requirements.txt": beside.lock.text} if beside else {}),
    }
