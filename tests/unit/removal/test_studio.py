"""Applications and spaces of SageMaker domains, which moto does not know: botocore's own stubs hold the calls to the API's form."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from labcycle.removal import running
from labcycle.removal.account import Account
from labcycle.removal.belonging import DeployedStack
from labcycle.removal.failure import StepFailed
from labcycle.removal.item import Item

STACK = DeployedStack(
    "labcycle-data-studio", "arn:aws:cloudformation:eu-west-1:1:stack/labcycle-data-studio/1", "CREATE_COMPLETE"
)
DOMAIN = "d-1"


def app(name: str, status: str, **owner: str) -> dict[str, Any]:
    return {"DomainId": DOMAIN, "AppName": name, "AppType": "JupyterLab", "Status": status, **owner}


@pytest.fixture
def stubs() -> dict[str, Stubber]:
    made = {}
    for service in ("cloudformation", "sagemaker"):
        client: Any = boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        made[service] = Stubber(client)
        made[service].activate()
    summary = {
        "LogicalResourceId": "Domain",
        "PhysicalResourceId": DOMAIN,
        "ResourceType": "AWS::SageMaker::Domain",
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
    }
    made["cloudformation"].add_response(
        "list_stack_resources", {"StackResourceSummaries": [summary]}, {"StackName": STACK.identifier}
    )
    return made


def account(stubs: dict[str, Stubber], slept: list[float] | None = None) -> Account:
    return Account(lambda service: stubs[service].client, sleep=(slept if slept is not None else []).append)


def test_every_page_of_applications_is_read_and_each_is_deleted_by_its_owner(stubs: dict[str, Stubber]) -> None:
    sagemaker = stubs["sagemaker"]
    first = [app("a", "InService", SpaceName="s"), app("old", "Deleted", SpaceName="s")]
    sagemaker.add_response("list_apps", {"Apps": first, "NextToken": "t"}, {"DomainIdEquals": DOMAIN})
    second = [app("b", "InService", UserProfileName="ada"), app("going", "Deleting", UserProfileName="ada")]
    sagemaker.add_response("list_apps", {"Apps": second}, {"DomainIdEquals": DOMAIN, "NextToken": "t"})
    found = running.applications(account(stubs), [STACK])
    assert [item.name for item in found] == [
        f"{DOMAIN}/s/JupyterLab/a",
        f"{DOMAIN}/ada/JupyterLab/b",
        f"{DOMAIN}/ada/JupyterLab/going",
    ]
    asked = {"DomainId": DOMAIN, "AppType": "JupyterLab"}
    sagemaker.add_response("delete_app", {}, {**asked, "AppName": "a", "SpaceName": "s"})
    sagemaker.add_response("delete_app", {}, {**asked, "AppName": "b", "UserProfileName": "ada"})
    assert found[2].delete is None
    for item in found[:2]:
        assert item.delete is not None
        item.delete()
    sagemaker.assert_no_pending_responses()


def test_spaces_are_deleted(stubs: dict[str, Stubber]) -> None:
    space = {"DomainId": DOMAIN, "SpaceName": "s", "Status": "InService"}
    stubs["sagemaker"].add_response("list_spaces", {"Spaces": [space]}, {"DomainIdEquals": DOMAIN})
    (item,) = running.spaces(account(stubs), [STACK])
    stubs["sagemaker"].add_response("delete_space", {}, {"DomainId": DOMAIN, "SpaceName": "s"})
    assert item.delete is not None
    item.delete()
    stubs["sagemaker"].assert_no_pending_responses()


def test_what_does_not_end_is_not_waited_for_for_ever(stubs: dict[str, Stubber]) -> None:
    slept: list[float] = []
    stuck = Item("application", "d-1/s/JupyterLab/a")
    with pytest.raises(StepFailed, match="application d-1/s/JupyterLab/a did not end within 15 minutes"):
        running.wait_until_gone(account(stubs, slept), "applications", lambda: [stuck])
    assert sum(slept) == 900
