"""The life cycle client against a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from labcycle.cli import app
from labcycle.client.api import ATTEMPTS, TRACKING_URI, ApiError, LifecycleClient
from labcycle.errors import LabcycleError

LIVE = {
    "version": 3,
    "promoted_at": "2026-03-01T00:00:00.000Z",
    "promoted_by": "reviewer-1",
    "model_file": {"sha256": "ab" * 32},
    "source_run": "run-1",
    "reference": None,
}
DEPLOYMENT = {"model": "m", "generation": 4, "live": LIVE, "previous": [{**LIVE, "version": 2}]}
EVENT = {
    "seq": 1,
    "at": "2026-03-01T00:00:00.000Z",
    "action": "promoted",
    "who": {"member": None, "role": "some-role", "session": "s"},
    "detail": {"version": 3, "previous_version": None},
}


@dataclass
class Api:
    """Answers what it was told to, in order, the last for ever; keeps what it was asked."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def will(self, body: object, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, data))

    def bodies(self) -> list[Any]:
        return [json.loads(body) for method, _, _, body in self.asked if method == "POST"]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            made.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, data = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    variables = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
    for name, value in {**variables, TRACKING_URI: made.url + "/"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "MLFLOW_TRACKING_TOKEN", "LABCYCLE_TOKEN_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(api: Api, waits: list[float]) -> LifecycleClient:
    return LifecycleClient(sleep=waits.append)


def test_promote_sends_a_signed_request(api: Api, client: LifecycleClient) -> None:
    api.will({"deployment": DEPLOYMENT, "changed": True, "notes": []})
    assert client.promote("card fraud/ü".replace("/", ""), 3, reason="newer")["changed"] is True
    ((method, path, headers, body),) = api.asked
    assert (method, path) == ("POST", "/labcycle/1.0/models/card%20fraud%C3%BC/promote")
    assert json.loads(body) == {"version": "3", "reason": "newer"}
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/execute-api/aws4_request" in headers["authorization"]


def test_roll_back_names_the_version_that_it_leaves(api: Api, client: LifecycleClient) -> None:
    api.will({"deployment": DEPLOYMENT})
    api.will({"deployment": DEPLOYMENT, "changed": True})
    client.roll_back("m")
    assert api.bodies() == [{"from_version": "3"}]


def test_roll_back_names_the_version_that_is_tried(api: Api, client: LifecycleClient) -> None:
    api.will({"deployment": {**DEPLOYMENT, "canary": {"deployed": {"version": 9}, "percent": 10}}})
    api.will({"deployment": DEPLOYMENT, "changed": True})
    client.roll_back("m")
    assert api.bodies() == [{"from_version": "9"}]


def test_try_pause_and_resume(api: Api, client: LifecycleClient) -> None:
    for _ in range(3):
        api.will({"deployment": DEPLOYMENT, "changed": True, "notes": []})
    client.promote("m", 3, percent=10)
    client.pause("m", answer={"approve": False}, reason="wrong data")
    client.resume("m")
    assert [path.rpartition("/")[2] for _, path, _, _ in api.asked] == ["promote", "pause", "resume"]
    bodies = [{"version": "3", "percent": 10}, {"answer": {"approve": False}, "reason": "wrong data"}, {}]
    assert api.bodies() == bodies


def test_reactions_are_reviewed_and_listed(api: Api, client: LifecycleClient) -> None:
    for _ in range(3):
        api.will({})
    client.review("m", approve=True)
    client.review("m", approve=False, reason="unfair", execution="e1")
    client.reactions("m")
    assert api.bodies() == [{"decision": "approve"}, {"decision": "reject", "reason": "unfair", "execution": "e1"}]
    assert [path.partition("/models/m/")[2] for _, path, _, _ in api.asked[2:]] == ["reactions"]


def test_roll_back_of_nothing_leaves_the_answer_to_the_api(api: Api, client: LifecycleClient) -> None:
    api.will({"deployment": {**DEPLOYMENT, "live": None}})
    api.will({"error_code": "INVALID_PARAMETER_VALUE", "message": "nothing to roll back"}, 400)
    with pytest.raises(ApiError, match="nothing to roll back") as caught:
        client.roll_back("m")
    assert (caught.value.status, caught.value.code) == (400, "INVALID_PARAMETER_VALUE")
    assert api.bodies() == [{}]


def test_patience_is_had_as_asked(api: Api, client: LifecycleClient, waits: list[float]) -> None:
    api.will({"message": "busy"}, 429, retry_after="1")
    api.will(b"", 503)
    api.will({"deployment": DEPLOYMENT})
    assert client.deployment("m")["deployment"]["generation"] == 4
    assert waits == [1.0, 2.0]


def test_patience_ends(api: Api, client: LifecycleClient, waits: list[float]) -> None:
    api.will({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "The ledger is busy"}, 429)
    with pytest.raises(ApiError, match="The ledger is busy"):
        client.history("m")
    assert (len(api.asked), len(waits)) == (ATTEMPTS, ATTEMPTS - 1)


def test_a_mistake_is_not_repeated(api: Api, client: LifecycleClient) -> None:
    api.will({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such version"}, 404)
    with pytest.raises(ApiError, match="no such version"):
        client.promote("m", 9)
    assert len(api.asked) == 1


def test_the_gateways_own_refusal_is_explained(api: Api, client: LifecycleClient) -> None:
    api.will({"message": "Forbidden"}, 403)
    with pytest.raises(ApiError, match=r"refused you \(Forbidden\).*get-caller-identity"):
        client.promote("m", 1)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[1]"), (404, b"<html>not here</html>"), (500, b"")]
)
def test_another_servers_answer_is_told_apart(api: Api, client: LifecycleClient, status: int, body: bytes) -> None:
    api.will(body, status)
    with pytest.raises(ApiError, match=f"answered {status}, which is no answer of a labcycle API"):
        client.deployment("m")


def test_no_connection_is_told_after_some_attempts(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ApiError, match="cannot be reached"):
        LifecycleClient("http://127.0.0.1:1", sleep=waits.append).deployment("m")
    assert waits == [1, 2, 4]


@pytest.mark.parametrize("model", ["", "a/b"])
def test_a_name_that_no_model_has_is_not_sent(api: Api, client: LifecycleClient, model: str) -> None:
    with pytest.raises(ApiError, match="no name of a registered model"):
        client.deployment(model)
    assert api.asked == []


@pytest.mark.parametrize("uri", ["sqlite:///x.db", "tracking.example.com", "http://"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(LabcycleError, match="https://"):
        LifecycleClient(uri)


# ---- the commands -----------------------------------------------------------------------------------------------


def labcycle(*arguments: str) -> tuple[int, str, str]:
    run = CliRunner().invoke(app, ["models", *arguments])
    if run.exception and not isinstance(run.exception, SystemExit | typer.Exit):
        raise run.exception
    return run.exit_code, run.stdout, run.stderr


def test_without_an_address_every_command_says_so_and_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACKING_URI, raising=False)
    for command in (["promote", "m", "1"], ["rollback", "m"], ["deployment", "m"], ["history", "m", "--json"]):
        code, out, err = labcycle(*command)
        assert (code, out) == (2, "")
        assert "MLFLOW_TRACKING_URI is not set" in err


def test_promote_prints_what_is_live_and_its_notes(api: Api) -> None:
    api.will({"deployment": DEPLOYMENT, "changed": True, "notes": ["No drift check: ..."]})
    code, out, err = labcycle("promote", "m", "3")
    assert (code, out) == (0, "m: version 3 is live (generation 4)\n")
    assert "note: No drift check" in err


def test_what_is_live_already_is_said_so(api: Api) -> None:
    api.will({"deployment": DEPLOYMENT, "changed": False, "notes": []})
    assert labcycle("promote", "m", "3")[1] == "m: version 3 is live already, nothing was changed\n"


def test_rollback_prints_what_is_live(api: Api) -> None:
    api.will({"deployment": DEPLOYMENT, "changed": True})
    assert labcycle("rollback", "m")[:2] == (0, "m: version 3 is live (generation 4)\n")


def test_deployment_prints_a_table(api: Api) -> None:
    api.will({"deployment": DEPLOYMENT})
    code, out, _ = labcycle("deployment", "m")
    assert code == 0
    assert all(word in out for word in ("generation 4", "live", "previous", "no drift check"))


def test_deployment_of_nothing_says_what_to_do(api: Api) -> None:
    api.will({"deployment": {**DEPLOYMENT, "live": None, "previous": []}})
    assert labcycle("deployment", "m")[1] == "m: no version is live; promote one: labcycle models promote m VERSION\n"


def test_history_prints_a_table(api: Api) -> None:
    api.will({"events": [EVENT], "verified": True, "problems": []})
    code, out, _ = labcycle("history", "m")
    assert code == 0
    assert "promoted" in out
    assert "the chain of hashes is whole" in out


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_broken_history_exits_1(api: Api, options: list[str]) -> None:
    api.will({"events": [EVENT], "verified": False, "problems": ["event 1 was changed"]})
    code, out, err = labcycle("history", "m", *options)
    assert code == 1
    assert "event 1 was changed" in out + err


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (["promote", "m", "3"], {"deployment": DEPLOYMENT, "changed": True, "notes": []}),
        (["deployment", "m"], {"deployment": DEPLOYMENT}),
        (["history", "m"], {"events": [EVENT], "verified": True, "problems": []}),
    ],
)
def test_json_is_the_apis_own_answer(api: Api, command: list[str], body: dict[str, Any]) -> None:
    api.will(body)
    code, out, _ = labcycle(*command, "--json")
    assert (code, json.loads(out)) == (0, body)


def test_a_refusal_exits_2_with_the_apis_text(api: Api) -> None:
    api.will({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Model Version (name=m, version=9) not found"}, 404)
    code, _, err = labcycle("promote", "m", "9")
    assert code == 2
    assert "version=9" in err
    assert "Traceback" not in err


def test_a_token_is_sent_in_place_of_a_signature(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a.b.c")
    api.will({"deployment": DEPLOYMENT})
    assert LifecycleClient().deployment("m")["deployment"]["generation"] == 4
    ((_, _, headers, _),) = api.asked
    assert headers["authorization"] == "Bearer a.b.c"
    assert not [name for name in headers if name.startswith("x-amz-")]


def test_a_token_that_is_refused_is_told_as_such(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a.b.c")
    api.will({"message": "Unauthorized"}, 401)
    with pytest.raises(
        ApiError, match=r"refused your token \(Unauthorized\): there is none, or it has ended"
    ) as caught:
        LifecycleClient().deployment("m")
    assert caught.value.status == 401
