"""The page of a model and the document of its API, through the deployed API and under the roles of members."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from labcycle.config import names
from tests.cloud.serving.test_life_cycle import LARGE, MODEL
from tests.cloud.team import COLUMNS, Team


def test_members_who_may_invoke_get_page_and_document(fraud: Team, growth: Team) -> None:
    scientist, reviewer, operator = (fraud.member(name) for name in ("scientist-1", "reviewer-1", "operator-1"))
    model = fraud.model(MODEL)
    nothing = model.call("GET", "/app", reviewer.caller)
    assert (nothing.status, nothing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f"labcycle models promote {MODEL}" in nothing.body.decode()
    version = scientist.log_model(MODEL, LARGE)
    reviewer.promote(MODEL, version)
    fraud.restart_servers()
    for member in (scientist, reviewer, operator):
        page = model.call("GET", "/app", member.caller)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
        assert re.findall(r'"name":"(\w+)","type":"(\w+)","needed":true', page.body.decode()) == [
            (name, "double") for name in COLUMNS
        ]
        document = model.call("GET", "/openapi.json", member.caller).json()
        OpenAPIV31SpecValidator(document).validate()
        assert document["info"] | {"description": ""} == {"title": MODEL, "version": str(version), "description": ""}
        ssm = fraud.cloud.client("ssm", fraud.place, member.caller.role)
        found = ssm.get_parameter(Name=names.model_url_parameter(fraud.name, MODEL))["Parameter"]["Value"]
        assert found == model.address
    for path in ("/app", "/openapi.json"):
        assert model.call("GET", path, None).status == 403
        assert model.call("GET", path, growth.member("lead-1").caller).status == 403
