"""What Amazon API Gateway does before and after the function."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle.local.cloud import AccessRefused
from labcycle.local.settings import Credentials
from tests.local.calling import Answer, call, send, signed_headers
from tests.local.conftest import Proving, until
from tests.local.proving_app import ACCOUNT, REGION


@pytest.fixture(scope="module")
def ada(proving: Proving) -> Credentials:
    return proving.cloud.assume("proving-caller", "ada")


def event(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)["event"]
    return found


def refused(answer: Answer, errortype: str) -> None:
    assert (answer.status, json.loads(answer.body)) == (403, {"message": "Forbidden"})
    assert answer.header("x-amzn-errortype") == errortype


def test_the_event_is_payload_2_0(proving: Proving, ada: Credentials) -> None:
    url = f"{proving.url}/items/a%20b/%C3%BC?z=1&a=2&a=1&space=x%20y&empty="
    headers = {"Content-Type": "application/json", "Cookie": "one=1; two=2", "X-Mixed": "A"}
    answer = call(ada, REGION, url, method="POST", body=b'{"n": 1}', headers=headers)
    found = event(answer)
    assert answer.header("x-proving") == "yes"
    assert [value for key, value in answer.headers if key == "set-cookie"] == ["a=1", "b=2"]
    assert answer.header("apigw-requestid") == found["requestContext"]["requestId"]
    assert found["version"] == "2.0"
    assert found["routeKey"] == "ANY /items/{proxy+}"
    assert found["rawPath"] == "/items/a b/ü"
    assert found["rawQueryString"] == "z=1&a=2&a=1&space=x%20y&empty="
    assert found["queryStringParameters"] == {"z": "1", "a": "2,1", "space": "x y", "empty": ""}
    assert found["pathParameters"] == {"proxy": "a b/ü"}
    assert found["cookies"] == ["one=1", "two=2"]
    assert "cookie" not in found["headers"]
    assert found["headers"]["x-mixed"] == "A"
    assert (found["body"], found["isBase64Encoded"]) == ('{"n": 1}', False)
    context = found["requestContext"]
    assert (context["accountId"], context["stage"]) == (ACCOUNT, "$default")
    assert context["http"]["method"] == "POST" and context["http"]["path"] == "/items/a b/ü"
    moment = datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC)
    assert context["time"] == moment.strftime("%d/%b/%Y:%H:%M:%S +0000")


def test_a_binary_body_travels_in_base64_and_no_body_is_left_out(proving: Proving, ada: Credentials) -> None:
    found = event(
        call(
            ada,
            REGION,
            f"{proving.url}/items/x",
            method="PUT",
            body=b"\x00\xff",
            headers={"Content-Type": "application/octet-stream"},
        )
    )
    assert found["isBase64Encoded"] is True
    assert base64.b64decode(found["body"]) == b"\x00\xff"
    without = event(call(ada, REGION, f"{proving.url}/items/x"))
    assert not {"body", "cookies", "queryStringParameters"} & without.keys()


def test_the_caller_is_told_as_api_gateway_tells_it(proving: Proving, ada: Credentials) -> None:
    caller = event(call(ada, REGION, f"{proving.url}/items/x"))["requestContext"]["authorizer"]["iam"]
    assert caller["userArn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/proving-caller/ada"
    assert caller["accountId"] == ACCOUNT
    assert caller["accessKey"] == ada.access_key
    assert caller["userId"] == caller["callerId"] and caller["userId"].endswith(":ada")


def test_unsigned_is_refused(proving: Proving) -> None:
    refused(send("GET", f"{proving.url}/items/x", {}), "MissingAuthenticationTokenException")


def test_a_wrong_signature_a_wrong_token_and_an_unknown_key_are_refused(proving: Proving, ada: Credentials) -> None:
    url = f"{proving.url}/items/x"
    refused(call(Credentials(ada.access_key, "another", ada.token), REGION, url), "InvalidSignatureException")
    refused(call(Credentials(ada.access_key, ada.secret, "another"), REGION, url), "UnrecognizedClientException")
    refused(call(Credentials(ada.access_key, ada.secret, None), REGION, url), "UnrecognizedClientException")
    refused(call(Credentials("AKIAUNKNOWN", "secret"), REGION, url), "UnrecognizedClientException")


def test_another_region_or_an_altered_body_is_refused(proving: Proving, ada: Credentials) -> None:
    url = f"{proving.url}/items/x"
    refused(call(ada, "us-east-1", url), "InvalidSignatureException")
    refused(send("POST", url, signed_headers(ada, REGION, "POST", url, b"one"), b"two"), "InvalidSignatureException")


def test_an_old_signature_is_refused(proving: Proving, ada: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    old = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: old.replace(tzinfo=None))
    headers = signed_headers(ada, REGION, "GET", f"{proving.url}/items/x")
    assert headers["X-Amz-Date"] == old.strftime("%Y%m%dT%H%M%SZ")
    refused(send("GET", f"{proving.url}/items/x", headers), "InvalidSignatureException")


@pytest.mark.parametrize("role", ["proving-stranger", "proving-bounded"])
def test_a_role_without_the_grant_or_behind_its_boundary_is_refused(proving: Proving, role: str) -> None:
    credentials = proving.cloud.assume(role, "ada")
    refused(call(credentials, REGION, f"{proving.url}/items/x"), "AccessDeniedException")


def test_the_administrator_may_call(proving: Proving) -> None:
    assert call(proving.cloud.administrator, REGION, f"{proving.url}/items/x").status == 200


@pytest.mark.parametrize("path", ["/", "/nothing", "/items"])
def test_what_has_no_route_is_not_found_signed_or_not(proving: Proving, ada: Credentials, path: str) -> None:
    for answer in (send("GET", proving.url + path, {}), call(ada, REGION, proving.url + path)):
        assert (answer.status, json.loads(answer.body)) == (404, {"message": "Not Found"})


def test_a_body_over_ten_megabytes_is_too_large(proving: Proving, ada: Credentials) -> None:
    answer = call(ada, REGION, f"{proving.url}/items/x", method="POST", body=b"x" * 10_485_761)
    assert (answer.status, json.loads(answer.body)) == (413, {"message": "Request Entity Too Large"})


def test_a_body_of_four_megabytes_arrives(proving: Proving, ada: Credentials) -> None:
    body = b"y" * 2_000_000
    found = event(
        call(ada, REGION, f"{proving.url}/items/x", method="POST", body=body, headers={"Content-Type": "text/plain"})
    )
    assert found["body"] == body.decode()


def test_headers_over_10240_bytes_are_too_large(proving: Proving, ada: Credentials) -> None:
    url = f"{proving.url}/items/x"
    assert call(ada, REGION, url, headers={"X-Long": "x" * 9_000}).status == 200
    assert call(ada, REGION, url, headers={"X-Long": "x" * 10_240}).status == 431
    assert send("GET", f"{url}?{'q' * 10_240}", {}).status == 431


def test_a_route_that_is_throttled_says_so(proving: Proving, ada: Credentials) -> None:
    answers = [call(ada, REGION, f"{proving.url}/narrow") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert json.loads(answers[-1].body) == {"message": "Too Many Requests"}


@pytest.mark.parametrize("path", ["raise", "malformed"])
def test_a_function_that_fails_is_an_internal_error(proving: Proving, ada: Credentials, path: str) -> None:
    answer = call(ada, REGION, f"{proving.url}/items/{path}")
    assert (answer.status, json.loads(answer.body)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_takes_longer_than_the_integration_waits_is_unavailable(
    proving: Proving, ada: Credentials
) -> None:
    text = {"Content-Type": "text/plain"}
    assert call(ada, REGION, f"{proving.url}/hurried", method="POST", body=b"0", headers=text).status == 200
    answer = call(ada, REGION, f"{proving.url}/hurried", method="POST", body=b"3", headers=text)
    assert (answer.status, json.loads(answer.body)) == (503, {"message": "Service Unavailable"})


def test_the_access_log_tells_status_caller_and_reason(proving: Proving, ada: Credentials) -> None:
    call(ada, REGION, f"{proving.url}/items/logged")
    call(proving.cloud.assume("proving-stranger", "ada"), REGION, f"{proving.url}/items/logged")
    lines = [json.loads(line) for line in until(lambda: proving.cloud.logs("/proving/access"))]
    assert {"status": "200", "who": ada.arn, "why": "-"} in lines
    assert any(
        line["status"] == "403" and "not authorized to perform execute-api:Invoke" in line["why"] for line in lines
    )


def test_a_session_name_that_is_not_pinned_is_refused(proving: Proving) -> None:
    with pytest.raises(AccessRefused, match="as 'eve'"):
        proving.cloud.assume("proving-caller", "eve")


def test_nobody_else_may_assume_the_role(proving: Proving) -> None:
    eve = proving.cloud.sign_in("eve")
    with pytest.raises(AccessRefused, match="user/eve cannot assume"):
        proving.cloud.assume("proving-caller", "ada", by=eve)
    with pytest.raises(AccessRefused, match="no role"):
        proving.cloud.assume("proving-nobody", "ada")


def counted(proving: Proving, metric: str) -> int:
    """Data of a metric of the API in the last ten minutes."""
    now = datetime.now(UTC)
    points = proving.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApiGateway",
        MetricName=metric,
        Dimensions=[{"Name": "ApiId", "Value": proving.url.split("/execute-api/")[1].split("/")[0]}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(hours=2),
        Period=60,
        Statistics=["SampleCount"],
    )["Datapoints"]
    return int(sum(point["SampleCount"] for point in points))


def test_requests_that_reach_the_function_are_counted_apart(proving: Proving, ada: Credentials) -> None:
    """By the samples of IntegrationLatency: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html"""
    before = counted(proving, "Count"), counted(proving, "IntegrationLatency")
    event(call(ada, REGION, f"{proving.url}/items/x"))
    assert send("GET", f"{proving.url}/items/x", {}).status == 403
    assert (counted(proving, "Count"), counted(proving, "IntegrationLatency")) == (before[0] + 2, before[1] + 1)
