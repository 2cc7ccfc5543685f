"""Step Functions: the cures that the reaction state machine needs.

* The role of the state machine is enforced for what it calls: MiniStack asks nobody.
* `sagemaker:createTrainingJob` and its `.sync` form.
* `TimeoutSeconds` of the whole machine ends it.
* Where a function is given a token to wait for, its error fails the task, and `TimeoutSeconds` can be an expression.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import kms, lambda_svc, sns, stepfunctions

from labcycle.local.clients import client
from labcycle.local.emulation import encryption, policies
from labcycle.local.settings import Settings

POLL_SECONDS = 0.2
_token: contextvars.ContextVar[str] = contextvars.ContextVar("labcycle_state_machine_token", default="")
_role: contextvars.ContextVar[str] = contextvars.ContextVar("labcycle_state_machine_role", default="")


def install(settings: Settings) -> None:
    _run_in_role()
    _enforce_role(settings)
    _await_tokens()
    _train(settings)


def _run_in_role() -> None:
    """Keep the role of the execution that runs on this thread, and end the execution at its time-out."""
    original = stepfunctions._run_execution

    def run(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
        timer: threading.Timer | None = None
        if execution and machine:
            _role.set(machine.get("roleArn", ""))
            seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
            if seconds:
                context = contextvars.copy_context()
                timer = threading.Timer(float(seconds), context.run, (_time_out, execution))
                timer.daemon = True
                timer.start()
        try:
            original(arn)
        finally:
            if timer is not None:
                timer.cancel()

    stepfunctions._run_execution = run


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution.update(status="TIMED_OUT", error="States.Timeout", stopDate=stepfunctions.now_iso())
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
    stepfunctions._add_event(execution, "ExecutionTimedOut", details)
    stepfunctions._emit_execution_status_event(execution)


def _enforce_role(settings: Settings) -> None:
    call_lambda, publish = stepfunctions._call_lambda, stepfunctions._invoke_sns_publish

    def call(reference: str, event: Any) -> Any:
        _, config, _ = lambda_svc._get_func_record_for_ref(reference)
        if config:
            _require(settings, "lambda:InvokeFunction", str(config["FunctionArn"]), "Lambda.AWSLambdaException")
        return call_lambda(reference, event)

    def publish_in_role(resource: str, data: dict[str, Any]) -> Any:
        topic = str(data.get("TopicArn", ""))
        _require(settings, "sns:Publish", topic, "SNS.AuthorizationErrorException")
        record = sns._topic_by_arn_any_scope(topic)
        key = encryption.key_arn((record or {}).get("attributes", {}).get("KmsMasterKeyId"))
        for action in ("kms:GenerateDataKey", "kms:Decrypt") if key and _role.get() else ():
            document = kms.key_policy_for_arn(key)[0]
            context = encryption.via("sns", settings)
            if not policies.role_may_use_key(
                _role.get(), action, str(key), document, region=settings.region, context=context
            ):
                raise _refusal("SNS.KmsAccessDeniedException", action, str(key))
        return publish(resource, data)

    stepfunctions._call_lambda = call
    stepfunctions._invoke_sns_publish = publish_in_role
    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::sns:publish"] = publish_in_role


def _await_tokens() -> None:
    """MiniStack passes over the error of a function that it gave a token to, and waits on; and takes no expression as a time."""
    execute, wait, call_lambda = (
        stepfunctions._execute_task,
        stepfunctions._invoke_with_callback,
        stepfunctions._call_lambda,
    )

    def execute_task(state: dict[str, Any], given: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        seconds = state.get("TimeoutSeconds")
        if isinstance(seconds, str):
            asked = {"Arguments": {"seconds": seconds}}
            seconds = stepfunctions._apply_jsonata_arguments(asked, given, context)["seconds"]
            state = {**state, "TimeoutSeconds": seconds}
        return execute(state, given, execution, context)

    def with_token(resource: str, data: Any, token: str, state: dict[str, Any]) -> Any:
        held = _token.set(token)
        try:
            return wait(resource, data, token, state)
        finally:
            _token.reset(held)

    def call(reference: str, event: Any) -> Any:
        try:
            return call_lambda(reference, event)
        except stepfunctions._ExecutionError as error:
            if waiting := stepfunctions._task_tokens.get(_token.get()):
                waiting["error"] = {"Error": error.error, "Cause": error.cause}
                waiting["event"].set()
            raise

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_with_callback = with_token
    stepfunctions._call_lambda = call


def _require(settings: Settings, action: str, resource: str, error: str) -> None:
    role = _role.get()
    if role and not policies.role_may(role, action, resource, region=settings.region):
        raise _refusal(error, action, resource)


def _refusal(error: str, action: str, resource: str) -> Exception:
    cause = f"User: {_role.get()} is not authorized to perform: {action} on resource: {resource}"
    refusal: Exception = stepfunctions._ExecutionError(error, cause)
    return refusal


def _train(settings: Settings) -> None:
    def create(resource: str, data: dict[str, Any]) -> dict[str, Any]:
        sagemaker = _as_role(settings, "sagemaker")
        _call(sagemaker.create_training_job, "SageMaker", **data)
        name = data["TrainingJobName"]
        if ".sync" not in resource:
            return {"TrainingJobArn": sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobArn"]}
        while True:
            found = _call(sagemaker.describe_training_job, "SageMaker", TrainingJobName=name)
            if found["TrainingJobStatus"] == "Completed":
                return dict(_plain(found))
            if found["TrainingJobStatus"] in ("Failed", "Stopped"):
                raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(_plain(found)))
            time.sleep(POLL_SECONDS)

    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::sagemaker:createTrainingJob"] = create


def _as_role(settings: Settings, service: str) -> Any:
    """A client with the credentials of the state machine's role; executions are threads, so calling ourselves is safe."""
    return client(settings.endpoint, settings.region, policies.session_of(_role.get(), "states"), service)


def _call(method: Callable[..., Any], service: str, **parameters: Any) -> Any:
    try:
        return method(**parameters)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        code = code if code.endswith("Exception") else f"{code}Exception"
        raise stepfunctions._ExecutionError(f"{service}.{code}", error.response["Error"]["Message"]) from error


def _plain(value: Any) -> Any:
    """A client's answer as Step Functions gives it: no metadata, moments in ISO form."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    return value
