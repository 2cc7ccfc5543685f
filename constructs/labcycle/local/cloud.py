"""The local cloud as an object: start or attach, bootstrap, deploy, act as a member, look, stop."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from labcycle.errors import LabcycleError
from labcycle.local import assembly, cdk_cli, process
from labcycle.local.clients import client
from labcycle.local.report import DeployReport, check_types
from labcycle.local.settings import (
    DEFAULT_ACCOUNT,
    DEFAULT_PORT,
    DEFAULT_REGION,
    SECRET,
    Credentials,
    Settings,
    bare_environment,
    client_environment,
)

__all__ = ["AccessRefused", "Credentials", "LocalCloud"]

CONCURRENCY = 4


class AccessRefused(LabcycleError):
    """A role's trust policy does not let the caller in."""


class LocalCloud:
    """A running local cloud. Use `start` or `attach`; as a context manager it stops at the end."""

    def __init__(self, running: process.Running, started: process.Started | None = None) -> None:
        self._running = running
        self._started = started

    # ---- life ---------------------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        port: int = DEFAULT_PORT,
        *,
        folder: Path | None = None,
        keep: bool = False,
    ) -> Self:
        """Start a local cloud and wait until it answers.

        Parameters
        ----------
        account, region
            What it plays; credentials of any other account are unknown to it.
        folder
            Holds its state, log and temporary files. Absent: `.labcycle` of the working folder.
        keep
            Let it outlive this process. Else it ends when this process ends, however that happens.

        Raises
        ------
        LabcycleError
            If it cannot start; nothing is left behind.
        """
        if not re.fullmatch(r"\d{12}", account):
            raise LabcycleError(f"account: got {account!r}; an AWS account has 12 digits.")
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region):
            raise LabcycleError(f"region: got {region!r}; expected a name such as eu-west-1.")
        where = folder or process.default_folder()
        started = process.start(port=port, account=account, region=region, folder=where.resolve())
        cloud = cls(started.running, started)
        if keep:
            cloud.keep()
        return cloud

    @classmethod
    def attach(cls, folder: Path | None = None) -> Self:
        """The local cloud that runs in this folder.

        Raises
        ------
        LabcycleError
            If none runs.
        """
        where = (folder or process.default_folder()).resolve()
        running = process.find(where)
        if running is None:
            raise LabcycleError(f"No local cloud runs in {where}. Start one with `labcycle local up`.")
        return cls(running)

    def keep(self) -> None:
        """Let the local cloud outlive this process; end it with `stop` or `labcycle local down`."""
        if self._started is not None:
            self._started.let_go()
            self._started = None

    def running(self) -> bool:
        """Whether the server still lives."""
        return self._running.alive()

    def stop(self) -> None:
        """End the server and everything that it started."""
        process.stop(Path(self.settings.folder))
        if self._started is not None:
            self._started.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- who and where ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return self._running.settings

    @property
    def endpoint(self) -> str:
        return self.settings.endpoint

    @property
    def account(self) -> str:
        return self.settings.account

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def administrator(self) -> Credentials:
        """The account's root: may do everything."""
        return Credentials(self.account, SECRET, None, f"arn:aws:iam::{self.account}:root")

    def environment(self, credentials: Credentials | None = None) -> dict[str, str]:
        """AWS_* variables for a child process or a shell; the administrator's without `credentials`."""
        return client_environment(self.endpoint, self.region, credentials or self.administrator)

    def client(self, service: str, credentials: Credentials | None = None) -> Any:
        """A boto3 client; the administrator's without `credentials`. It never retries."""
        return client(self.endpoint, self.region, credentials or self.administrator, service)

    def sign_in(self, principal: str) -> Credentials:
        """An access key of an IAM user that a trust policy names, as that person would hold it; a former one ends.

        An IAM user (`arn:...:user/name`, or just `name`) is made if there is none, without any policy: all that it can do is
        assume a role whose trust policy names it.
        """
        name = principal.rsplit("/", 1)[-1]
        iam = self.client("iam")
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=name)
        for old in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=old["AccessKeyId"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"], None, f"arn:aws:iam::{self.account}:user/{name}")

    def assume(self, role: str, session: str, *, by: Credentials | None = None, seconds: int = 3600) -> Credentials:
        """Credentials of a role, through its trust policy.

        Parameters
        ----------
        role
            Name or ARN.
        session
            Session name; a trust policy may pin it.
        by
            Who assumes it. Absent: whom the trust policy names, signed in as that person would: an IAM user with an
            access key (made if need be), or a session of an Identity Center permission set; else the administrator.

        Raises
        ------
        AccessRefused
            If the trust policy refuses caller or session name.
        """
        found = self._role(role.rsplit("/", 1)[-1])
        arn, caller = found["Arn"], by or self._trusted(found["AssumeRolePolicyDocument"])
        try:
            answer = self.client("sts", caller).assume_role(
                RoleArn=arn, RoleSessionName=session, DurationSeconds=seconds
            )
        except ClientError as error:
            raise AccessRefused(
                f"{caller.arn} cannot assume {arn} as {session!r}: {error.response['Error']['Message']}"
            ) from error
        keys = answer["Credentials"]
        return Credentials(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], answer["AssumedRoleUser"]["Arn"]
        )

    def _role(self, name: str) -> Any:
        iam = self.client("iam")
        try:
            return iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            raise AccessRefused(f"There is no role {name} in the account {self.account}.") from None

    def _trusted(self, trust: Mapping[str, Any]) -> Credentials:
        """Whom a trust policy names, signed in."""
        for statement in _list(trust.get("Statement", [])):
            principal = statement.get("Principal")
            if isinstance(principal, dict) and "Federated" in principal:
                raise AccessRefused(
                    f"The role is for those who sign in by {principal['Federated']}, which the local cloud does not play. "
                    "Pass the credentials of another caller, or let the member sign in as an IAM user."
                )
            for arn in _list(principal.get("AWS", [])) if isinstance(principal, dict) else []:
                if ":user/" in arn:
                    return self.sign_in(arn)
            by_identity_center = _identity_center(statement.get("Condition", {}))
            if by_identity_center:
                return self._sign_in_by_identity_center(*by_identity_center)
        return self.administrator

    def _sign_in_by_identity_center(self, permission_set: str, user: str) -> Credentials:
        """A session of the permission set's role, as Identity Center makes it for a user."""
        iam = self.client("iam")
        role = f"AWSReservedSSO_{permission_set}_0123456789abcdef"
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
            "Action": "sts:AssumeRole",
        }
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(
                RoleName=role,
                Path=f"/aws-reserved/sso.amazonaws.com/{self.region}/",
                AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
            )
        members = f"arn:aws:iam::{self.account}:role/labcycle/*"
        allowed = {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": members},
        }
        iam.put_role_policy(RoleName=role, PolicyName="permission-set", PolicyDocument=json.dumps(allowed))
        return self.assume(iam.get_role(RoleName=role)["Role"]["Arn"], user, by=self.administrator)

    # ---- deploy -------------------------------------------------------------------------------------------------

    def bootstrap(self) -> None:
        """Bootstrap the account and region with the CDK CLI; does nothing where it was done."""
        cloudformation = self.client("cloudformation")
        try:
            found = cloudformation.describe_stacks(StackName="CDKToolkit")["Stacks"][0]["StackStatus"]
        except ClientError:
            found = ""
        if found in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        self._cdk("bootstrap", f"aws://{self.account}/{self.region}")

    def synth(self, out: Path, *, app: str = "infra.app", context: Mapping[str, str] | None = None) -> None:
        """Synthesize an app (a module that is run with `python -m`) of the working folder into `out`.

        Raises
        ------
        LabcycleError
            With what the app said.
        """
        settings = json.loads(Path("cdk.json").read_text()).get("context", {}) if Path("cdk.json").exists() else {}
        cli = cdk_cli.find()
        environment = {**bare_environment(), "CDK_OUTDIR": str(out.resolve()), "CDK_VALIDATION": "false"}
        environment |= {"CDK_CONTEXT_JSON": json.dumps({**settings, **(context or {})}), "PYTHONPATH": str(Path.cwd())}
        environment |= {"PATH": f"{cli.node.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}
        environment |= {"CDK_DEFAULT_ACCOUNT": self.account, "CDK_DEFAULT_REGION": self.region}
        run = subprocess.run([sys.executable, "-m", app], env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            raise LabcycleError(f"`python -m {app}` failed: {run.stderr.strip()[-1500:] or run.stdout.strip()[-1500:]}")

    def deploy(self, folder: Path | str, selectors: Sequence[str] = ("**",)) -> DeployReport:
        """Deploy stacks of a cloud assembly with the CDK CLI. Nothing is synthesized.

        Raises
        ------
        LabcycleError
            If a type is neither real, recorded nor a placeholder here (before anything is touched), or the CLI fails.
        """
        where = Path(folder).resolve()
        chosen = assembly.select(where, selectors)
        check_types({stack.name: stack.types for stack in chosen})
        known = {swap["asset"] for swap in self._ask("vendored")}
        begun = time.monotonic()
        self._cdk(
            "deploy", *selectors, "--app", str(where), "--require-approval", "never", "--method", "direct",
            "--concurrency", str(CONCURRENCY), "--progress", "events",
        )  # fmt: skip
        seconds = time.monotonic() - begun
        counted = Counter(resource_type for stack in chosen for resource_type in stack.types)
        vendored = [swap for swap in self._ask("vendored") if swap["asset"] not in known]
        deployed = self.all_outputs()
        outputs = {stack.name: deployed[stack.name] for stack in chosen}
        return DeployReport(outputs, dict(counted), seconds, vendored)

    def destroy(self, folder: Path | str, selectors: Sequence[str] = ("**",)) -> list[str]:
        """Destroy stacks of a cloud assembly with the CDK CLI; gives what is retained by design, in sentences."""
        where = Path(folder).resolve()
        names = [stack.name for stack in assembly.select(where, selectors)]
        before = self.all_outputs()
        self._cdk("destroy", *selectors, "--app", str(where), "--force")
        left = self.all_outputs()
        gone = [before[name] for name in names if name in before and name not in left]
        return [outputs["RetainedByDesign"] for outputs in gone if "RetainedByDesign" in outputs]

    def outputs(self, stack: str) -> dict[str, str]:
        """Outputs of one deployed stack.

        Raises
        ------
        LabcycleError
            If there is no such stack.
        """
        found = self.all_outputs()
        if stack not in found:
            raise LabcycleError(f"No stack {stack} is deployed; there are: {', '.join(found) or 'none'}.")
        return found[stack]

    def all_outputs(self) -> dict[str, dict[str, str]]:
        """Outputs of all deployed stacks, by stack name."""
        found = {}
        for page in self.client("cloudformation").get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                if not stack["StackStatus"].startswith("DELETE"):
                    found[stack["StackName"]] = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        return found

    def _cdk(self, *arguments: str) -> str:
        log = Path(self.settings.folder) / "cdk.log"
        return cdk_cli.find().run(arguments, self.environment(), log=log)

    # ---- look and steer -----------------------------------------------------------------------------------------

    def notices(self) -> list[dict[str, str]]:
        """E-mail notices so far, oldest first: time, topic, address, subject, text."""
        found: list[dict[str, str]] = self._ask("notices")
        return found

    def refusals(self) -> list[dict[str, str]]:
        """Deliveries between services that AWS would not have made: source, target, reason."""
        found: list[dict[str, str]] = self._ask("refusals")
        return found

    def advance(self, seconds: float) -> float:
        """Move the clock of schedules, alarms, metrics and queues forward; what falls due happens. Gives the new time."""
        return float(self._ask("advance", {"seconds": seconds})["now"])

    def interrupt(self, job: str) -> None:
        """Take the machine away under a running job of AWS Batch, or child of an array (`JOB:INDEX`), as AWS takes back a spot machine."""
        self._ask("interrupt", {"job": job})

    def play_issuer(self, url: str, address: str) -> None:
        """Ask the issuer `url` of tokens for its keys at `address` on this machine; see `labcycle.local.tokens.LocalIssuer`."""
        self._ask("issuer", {"url": url, "address": address})

    def status(self) -> dict[str, Any]:
        """What the server says of itself."""
        found: dict[str, Any] = self._ask("status")
        return found

    def logs(self, group: str, *, containing: str = "") -> list[str]:
        """Messages of a log group, oldest first."""
        logs = self.client("logs")
        messages: list[tuple[int, str]] = []
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            messages += [(event["timestamp"], event["message"]) for event in page["events"]]
        return [text for _, text in sorted(messages, key=lambda message: message[0]) if containing in text]

    def how_to_look_around(self) -> str:
        """What to type in a shell to use this cloud."""
        exports = "\n".join(f"export {name}={value}" for name, value in self.environment().items())
        return (
            f"The local cloud runs at {self.endpoint} (account {self.account}, region {self.region}, process {self.pid}).\n"
            f"{exports}\n"
            "Any AWS SDK or CLI now speaks to it. `labcycle local notices` shows the inbox, `labcycle local down` ends it."
        )

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return process.ask(self.settings, path, body)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _identity_center(conditions: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Permission set and user of a trust policy that is for one user of Identity Center."""
    flat = {key.lower(): _list(value)[0] for block in conditions.values() for key, value in block.items()}
    found = re.search(r"AWSReservedSSO_(.+)_[?*]+$", str(flat.get("aws:principalarn", "")))
    user = str(flat.get("aws:userid", ""))
    return (found[1], user.removeprefix("*:")) if found and user.startswith("*:") else None
