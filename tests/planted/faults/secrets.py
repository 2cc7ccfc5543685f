"""Secrets, where everybody can read them."""

from __future__ import annotations

from tests.planted.draft import Draft, fault

# The shape of a key of AWS, put together here so that nobody's search for keys stops at this file.
_KEY = "AKIA" + "Q3EGJL7RWZP5XVNT"


@fault("labcycle-growth-tracking", "secret-aws-access-key")
def secret_in_an_environment(draft: Draft) -> str:
    """A function's environment holds an access key."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    draft.properties(function)["Environment"]["Variables"]["UPLOADER"] = _KEY
    return function


@fault("labcycle-fraud-workspaces", "secret-aws-access-key")
def secret_in_user_data(draft: Draft) -> str:
    """The script that a workspace starts with exports an access key."""
    launch = draft.find("AWS::EC2::LaunchTemplate")
    data = draft.properties(launch)["LaunchTemplateData"]
    script = f"#!/bin/bash\nexport AWS_ACCESS_KEY_ID={_KEY}\n"
    data["UserData"] = {"Fn::Base64": script}
    return launch


@fault("labcycle-growth-tracking", "secret-aws-access-key")
def secret_in_an_asset(draft: Draft) -> str:
    """A file that is uploaded with the function's code holds an access key."""
    function = draft.find("AWS::Lambda::Function", "/LifeCycle/")
    (draft.asset(function) / "settings.py").write_text(f'UPLOADER = "{_KEY}"\n')
    return function
