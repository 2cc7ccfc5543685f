"""Step Functions as AWS does it, where moto's interpreter falls short.

JSONata is evaluated (moto expects a Java machine), strings are quoted in its variables, parameters and answers of
service integrations take the service's spelling, waits and retries do not wait, and
`sagemaker:createTrainingJob.sync` runs a training job to its end. Where a state waits for a token, nobody waits: what the test does
then is done, and without an answer the state's time is over. Executions can be redriven, and their states can break.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock

import botocore.session
import jsonata
from botocore.config import Config
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service as task_service
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends  # loads the whole interpreter

from tests.cloud.harness import policies
from tests.cloud.harness.permissions import Guard
from tests.cloud.harness.place import Place
from tests.cloud.harness.training import TrainingJobs

_ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}
_GUARD_SECONDS = 60
_ONE_ATTEMPT = Config(parameter_validation=False, retries={"total_max_attempts": 1})
# Through this rule Step Functions learns that a job has ended; its name is fixed by the service.
_MANAGED_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"


When = Literal["before", "after"]


@dataclass
class Steering:
    """What a test does to executions. `broken`: states that fail each time, before they do their work or after it. `token_awaited` is
    called where a state waits for a token, with the seconds that it may wait; if nothing ends its wait then, its time is over."""

    broken: dict[str, When] = field(default_factory=dict)
    token_awaited: Callable[[float], object] = lambda seconds: None
    struck: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.broken, self.token_awaited, self.struck = {}, lambda seconds: None, []


def patch(
    stack: ExitStack, training: TrainingJobs, guard: Guard, waited: Callable[[float], object], steering: Steering
) -> None:
    """Mend moto's interpreter until `stack` closes. Where a state machine waits so many seconds, `waited` is called instead."""
    _replace(stack, moto_jsonata.eval_jsonata_expression, _evaluate)
    _replace(stack, moto_jsonata.encode_jsonata_variable_declarations, _declare)

    def client_for(region: str, service: str, state_credentials: Any) -> Any:
        role: str = state_credentials.role_arn
        return guard.client(service, Place(role.split(":")[4], region), role, config=_ONE_ATTEMPT)

    _replace(stack, boto_client.boto_client_for, client_for)
    wait = WaitFunction._wait_interval

    def no_wait(self: WaitFunction, env: Any, wait_seconds: float) -> None:
        waited(wait_seconds)
        wait(self, env, 0)

    stack.enter_context(mock.patch.object(WaitFunction, "_wait_interval", no_wait))
    no_sleep = types.SimpleNamespace(sleep=lambda seconds: None, time=time.time)
    stack.enter_context(mock.patch.object(retrier_decl, "time", no_sleep))
    service = task_service.StateTaskService
    stack.enter_context(mock.patch.object(service, "_normalise_parameters", _normalise_parameters))
    stack.enter_context(mock.patch.object(service, "_normalise_response", _normalise_response))
    _steer(stack, steering)
    original = state_task_factory.state_task_service_for

    def service_for(service_name: str) -> Any:
        return _TrainingJobTask(training, guard) if service_name == "sagemaker" else original(service_name)

    _replace(stack, original, service_for)


def _steer(stack: ExitStack, steering: Steering) -> None:
    service, await_token = task_service.StateTaskService, StateTaskServiceCallback._wait_for_task_token_timeout
    evaluate, environment = service._eval_execution, ExecutionWorker._get_evaluation_environment

    def eval_execution(self: Any, env: Any) -> None:
        when = steering.broken.get(self.name)
        if when != "before":
            evaluate(self, env)
        if when:
            steering.struck.append(self.name)
            details: Any = TaskFailedEventDetails(
                resource="broken", resourceType="test", error="Broken", cause="broken on purpose"
            )
            name = CustomErrorName("Broken")
            raise FailureEventException(
                FailureEvent(env, name, HistoryEventType.TaskFailed, EventDetails(taskFailedEventDetails=details))
            )

    def wait_for_token(self: Any, timeout_seconds: float, callback_endpoint: Any) -> Any:
        if self.resource.condition != ResourceCondition.WaitForTaskToken:
            return await_token(self, timeout_seconds, callback_endpoint)
        steering.token_awaited(timeout_seconds)
        return callback_endpoint.get_outcome()

    def with_redrives(self: Any) -> Any:
        env = environment(self)
        env.states.context_object.context_object_data["Execution"]["RedriveCount"] = 0
        return env

    stack.enter_context(mock.patch.object(service, "_eval_execution", eval_execution))
    stack.enter_context(mock.patch.object(StateTaskServiceCallback, "_wait_for_task_token_timeout", wait_for_token))
    stack.enter_context(mock.patch.object(ExecutionWorker, "_get_evaluation_environment", with_redrives))


class _Redriven(ExecutionWorker):  # type: ignore[misc]
    """Runs an execution again from the state that it failed in, with its input and the variables as they were:
    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html"""

    def __init__(self, execution: Any) -> None:
        before = execution.exec_worker
        super().__init__(
            before._evaluation_details, BaseExecutionWorkerCommunication(execution), None, before._activity_store
        )
        entered = [e for e in before.env.event_manager.get_event_history() if "stateEnteredEventDetails" in e][-1]
        self._at = entered["stateEnteredEventDetails"]["name"]
        self._input = json.loads(entered["stateEnteredEventDetails"]["input"])
        store = before.env.variable_store
        self._variables = {**store._outer_scope, **store._inner_scope}
        self._redrives = before.env.states.context_object.context_object_data["Execution"]["RedriveCount"] + 1

    def _get_evaluation_entrypoint(self) -> Any:
        definition = json.loads(self._evaluation_details.state_machine_details.definition)
        return AmazonStateLanguageParser.parse(json.dumps({**definition, "StartAt": self._at}))[0]

    def _get_evaluation_environment(self) -> Any:
        env = super()._get_evaluation_environment()
        env.states.context_object.context_object_data["Execution"]["RedriveCount"] = self._redrives
        for name, value in self._variables.items():
            env.variable_store.set(name, value)
        env.states.reset(self._input)
        return env


def redrive(execution_arn: str) -> None:
    """Let a failed execution go on."""
    place = Place.of_arn(execution_arn)
    execution = stepfunctions_parser_backends[place.account][place.region].describe_execution(execution_arn)
    assert execution.exec_status == ExecutionStatus.FAILED, execution.exec_status
    worker = _Redriven(execution)
    execution.exec_worker, execution.exec_status = worker, ExecutionStatus.RUNNING
    execution.stop_date = execution.error = execution.cause = None
    worker.start()


def _replace(stack: ExitStack, original: Any, replacement: Any) -> None:
    """In every module of the interpreter that imported it by name."""
    name = original.__name__
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("moto.stepfunctions") and getattr(module, name, None) is original:
            stack.enter_context(mock.patch.object(module, name, replacement))


def _evaluate(expression: str) -> Any:
    try:
        result = jsonata.Jsonata(expression).evaluate(None)
        return json.loads(json.dumps(result, default=_plain))
    except Exception as error:
        raise moto_jsonata.JSONataException("States.QueryEvaluationError", str(error)) from error


def _plain(value: Any) -> Any:
    return None if type(value).__name__ == "NullValue" else list(value)


def _declare(bindings: Mapping[str, Any]) -> str:
    # the context object holds moments
    return "".join(
        f"{name}:={json.dumps(value, default=lambda at: at.isoformat())};" for name, value in bindings.items()
    )


def _shape(task: Any, service: str | None, action: str | None, which: str) -> Any:
    model = botocore.session.get_session().get_service_model(task._get_boto_service_name(service))
    wanted = task._get_boto_service_action(action)
    for name in model.operation_names:
        if task_service.camel_to_snake_case(name) == wanted:
            return getattr(model.operation_model(name), which)
    raise AssertionError(f"{model.service_name} has no operation {wanted}")


def _normalise_parameters(
    task: Any, parameters: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _shape(task, boto_service_name, service_action_name, "input_shape")
    if shape:
        task._to_boto_request(parameters, shape)


def _normalise_response(
    task: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _shape(task, boto_service_name, service_action_name, "output_shape")
    if isinstance(response, dict):
        response.pop("ResponseMetadata", None)
        if shape:
            task._from_boto_response(response, shape)
        for key, value in list(response.items()):
            response[key] = _json_value(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json_value(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


class _TrainingJobTask(StateTaskServiceCallback):  # type: ignore[misc]
    """`sagemaker:createTrainingJob.sync`: https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html"""

    def __init__(self, training: TrainingJobs, guard: Guard) -> None:
        super().__init__(supported_integration_patterns={ResourceCondition.WaitForTaskToken, ResourceCondition.Sync})
        self._training = training
        self._guard = guard

    def _get_supported_parameters(self) -> set[str]:
        return {
            "AlgorithmSpecification",
            "EnableNetworkIsolation",
            "Environment",
            "HyperParameters",
            "InputDataConfig",
            "OutputDataConfig",
            "ResourceConfig",
            "RoleArn",
            "StoppingCondition",
            "Tags",
            "TrainingJobName",
            "VpcConfig",
        }

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> None:
        assert self._get_boto_service_action() == "create_training_job", self.resource.resource_arn
        self._name = normalised_parameters["TrainingJobName"]
        role = state_credentials.role_arn
        place = Place(role.split(":")[4], resource_runtime_part.region)
        rule = f"arn:aws:events:{place.region}:{place.account}:rule/{_MANAGED_RULE}"
        for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
            policies.require_role(role, action, rule)
        for operation in ("DescribeTrainingJob", "StopTrainingJob"):
            self._guard.check(role, place, "sagemaker", operation, normalised_parameters)
        job = f"arn:aws:sagemaker:{place.region}:{place.account}:training-job/{self._name}"
        policies.require_role(role, "sagemaker:ListTags", job)
        sagemaker = self._guard.client("sagemaker", place, role, config=_ONE_ATTEMPT)
        answer = sagemaker.create_training_job(**normalised_parameters)
        answer.pop("ResponseMetadata")
        env.stack.append(answer)

    def _build_sync_resolver(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Callable[[], Any]:
        env.stack.pop()
        place = Place(state_credentials.role_arn.split(":")[4], resource_runtime_part.region)

        def resolve() -> Any:
            job = _json_value(self._training.run(place, self._name))
            if job["TrainingJobStatus"] == "Completed":
                return job
            error = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
            details: Any = TaskFailedEventDetails(
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
                error=StatesErrorNameType.StatesTaskFailed.to_name(),
                cause=json.dumps(job),
            )
            raise FailureEventException(
                FailureEvent(env, error, HistoryEventType.TaskFailed, EventDetails(taskFailedEventDetails=details))
            )

        return resolve


def finish(execution_arn: str) -> dict[str, Any]:
    """The description of an execution once it has ended."""
    states = Place.of_arn(execution_arn).client("stepfunctions")
    deadline = time.monotonic() + _GUARD_SECONDS
    while True:
        described: dict[str, Any] = states.describe_execution(executionArn=execution_arn)
        if described["status"] in _ENDED:
            return described
        if time.monotonic() > deadline:
            raise AssertionError(f"{execution_arn} does not end:\n" + "\n".join(history(execution_arn)))
        time.sleep(0.02)


def history(execution_arn: str) -> list[str]:
    """What an execution did, a line each event."""
    states = Place.of_arn(execution_arn).client("stepfunctions")
    lines = []
    for event in states.get_execution_history(executionArn=execution_arn)["events"]:
        details: dict[str, Any] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
        lines.append(
            f"{event['type']} {details.get('name', '')} {details.get('error', '')} {str(details.get('cause', ''))[:400]}"
        )
    return lines


def executions(machine_arn: str) -> list[str]:
    """The executions of a state machine, oldest first."""
    states = Place.of_arn(machine_arn).client("stepfunctions")
    found = states.list_executions(stateMachineArn=machine_arn)["executions"]
    return [e["executionArn"] for e in sorted(found, key=lambda e: e["startDate"])]
