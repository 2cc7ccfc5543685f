"""Where our answers differ from the stock server's on purpose, and why: the page docs/mlflow-differences.md is made of it.

A difference says exactly when it applies. One that a long run never meets is reported, so that none outlives its cause.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tests.differential.sides import SIGNER, Answer
from tests.differential.steps import JSON, Step


@dataclass(frozen=True)
class Exchange:
    """One request and both answers, as they came and as they are compared."""

    step: Step
    stock: Answer
    ours: Answer
    comparable_stock: Any
    comparable_ours: Any

    @property
    def refused(self) -> bool:
        """Ours refuses as the caller's mistake."""
        return 400 <= self.ours.status < 500

    @property
    def both_refused(self) -> bool:
        return self.refused and 400 <= self.stock.status < 500

    def on(self, *endpoints: str) -> bool:
        return self.step.endpoint in endpoints


@dataclass(frozen=True)
class Difference:
    """What the stock server does, what we do, and why.

    `applies` says whether an exchange shows it, and then nothing else may differ, unless `without` takes the difference
    out of both comparable answers. `asked` changes what the stock server is asked, so that its records stay comparable.
    """

    name: str
    stock: str
    ours: str
    why: str
    applies: Callable[[Exchange], bool] = lambda exchange: False
    without: Callable[[Any, Any], tuple[Any, Any]] | None = None
    asked: Callable[[Step], Step] = lambda step: step

    def forgiven(self, exchange: Exchange) -> Exchange | None:
        """The exchange without this difference; None where it does not show it."""
        if not self.applies(exchange):
            return None
        if self.without is None:
            return replace(exchange, comparable_ours=exchange.comparable_stock)
        stock, ours = self.without(exchange.comparable_stock, exchange.comparable_ours)
        if (stock, ours) == (exchange.comparable_stock, exchange.comparable_ours):
            return None
        return replace(exchange, comparable_stock=stock, comparable_ours=ours)


PARTS = "parts-of-refused-calls"  # seen in the stock server's database, not in an answer


# --- conditions


@cache
def _messages() -> dict[str, Any]:
    """MLflow's message of each endpoint."""
    from mlflow.protos.model_registry_pb2 import ModelRegistryService
    from mlflow.protos.service_pb2 import MlflowService
    from mlflow.utils.rest_utils import extract_all_api_info_for_service

    found = {}
    for service in (MlflowService, ModelRegistryService):
        for message, endpoints in extract_all_api_info_for_service(service, "").items():
            for path, method in endpoints:
                template = path.lstrip("/").removeprefix("2.0").lstrip("/").removeprefix("mlflow/")
                template = template.replace("<", "{").replace(">", "}")
                found[f"{method} {template}"] = message
    return found


def does_not_fit(step: Step) -> bool:
    """Whether MLflow's own parser gives up on the body: fields of a wrong type, numbers out of range."""
    from google.protobuf.json_format import ParseError
    from mlflow.utils.proto_json_utils import parse_dict

    message = _messages().get(step.endpoint)
    if message is None:
        return False
    values = body(step)
    if not isinstance(values, dict):
        return False
    if step.method == "GET":
        lists = {field.name for field in message.DESCRIPTOR.fields if field.is_repeated}
        values = {
            name: [str(v) for v in (value if isinstance(value, list) else [value])] if name in lists else str(value)
            for name, value in values.items()
        }
    try:
        parse_dict(values, message())
    except ParseError:
        return True
    enums = [field.name for field in message.DESCRIPTOR.fields if field.enum_type]
    return any(isinstance(values.get(name), float) for name in enums)  # it takes the whole part


def body(step: Step) -> Any:
    """What is sent, as JSON; "" where it is none."""
    if step.raw is None or step.method == "GET":
        return step.values
    try:
        return json.loads(step.raw)
    except ValueError:
        return ""


def _says(exchange: Exchange, *beginnings: str) -> bool:
    return exchange.refused and exchange.ours.message.startswith(beginnings)


def _items(step: Step, name: str) -> list[dict[str, Any]]:
    values = body(step)
    found = values.get(name) if isinstance(values, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _texts(step: Step) -> list[str]:
    """Filter and order_by of a search."""
    orders = step.values.get("order_by", [])
    return [
        str(step.values.get("filter", "")),
        *(str(order) for order in (orders if isinstance(orders, list) else [orders])),
    ]


_SEARCHES = (
    "POST runs/search",
    "POST experiments/search",
    "GET experiments/search",
    "GET registered-models/search",
    "GET model-versions/search",
    "POST logged-models/search",
)


def _no_version_user(stock: Any, ours: Any) -> tuple[Any, Any]:
    """Without the user of a model version."""

    def plain(doc: Any) -> Any:
        if isinstance(doc, dict):
            is_version = "current_stage" in doc
            return {key: plain(value) for key, value in doc.items() if not (is_version and key == "user_id")}
        return [plain(item) for item in doc] if isinstance(doc, list) else doc

    return stock, plain(ours)


def _nan_as_text(stock: Any, ours: Any) -> tuple[Any, Any]:
    def plain(doc: Any) -> Any:
        if isinstance(doc, dict):
            return {key: plain(value) for key, value in doc.items()}
        if isinstance(doc, list):
            return [plain(item) for item in doc]
        return "NaN" if isinstance(doc, float) and math.isnan(doc) else doc

    return plain(stock), ours


def _with_nan(stock: Any, ours: Any) -> Any:
    """The stock server's answer with NaN where it says 0 and ours NaN, among metrics of logged models."""
    if isinstance(stock, dict) and isinstance(ours, dict):
        if ours.get("value") == "NaN" and stock.get("value") == 0 and "model_id" in ours:
            return stock | {"value": "NaN"}
        return {key: _with_nan(value, ours.get(key)) for key, value in stock.items()}
    if isinstance(stock, list) and isinstance(ours, list) and len(stock) == len(ours):
        return [_with_nan(one, other) for one, other in zip(stock, ours, strict=True)]
    return stock


def _each_model_once(doc: Any) -> Any:
    if isinstance(doc, list):
        return [_each_model_once(item) for item in doc]
    if not isinstance(doc, dict):
        return doc
    if doc.get("key") == "mlflow.log-model.history":
        models = json.loads(doc["value"])
        return doc | {"value": json.dumps([m for n, m in enumerate(models) if m not in models[:n]])}
    return {key: _each_model_once(value) for key, value in doc.items()}


# --- what the stock server is asked instead


def _as_signer(step: Step) -> Step:
    given = body(step)
    tags = given.get("tags", []) if isinstance(given, dict) else None
    if step.endpoint != "POST runs/create" or not isinstance(tags, list):
        return step
    kept = [tag for tag in tags if not (isinstance(tag, dict) and tag.get("key") == "mlflow.user")]
    values = {name: value for name, value in given.items() if name != "userId" or "user_id" in given}
    user = {} if "user_id" in given and not isinstance(given["user_id"], str) else {"user_id": SIGNER}
    return replace(step, raw=None, values=values | user | {"tags": [*kept, {"key": "mlflow.user", "value": SIGNER}]})


def _with_cut_tags(step: Step) -> Step:
    tags = step.values.get("tags")
    if step.endpoint != "POST runs/create" or not isinstance(tags, list):
        return step

    def cut(tag: Any) -> Any:
        is_long = isinstance(tag, dict) and isinstance(tag.get("value"), str) and len(tag["value"]) > 8000
        return tag | {"value": tag["value"][:8000]} if is_long else tag

    cut_tags = [cut(tag) for tag in tags]
    return step if cut_tags == tags else replace(step, values=step.values | {"tags": cut_tags})


def _without_slash(step: Step) -> Step:
    location = step.values.get("artifact_location")
    if step.endpoint != "POST experiments/create" or not isinstance(location, str) or not location.endswith("/"):
        return step
    return replace(step, values=step.values | {"artifact_location": location.rstrip("/")})


def _with_plain_id(step: Step) -> Step:
    given = step.values.get("experiment_id")
    if not isinstance(given, str) or not re.fullmatch(r"\s*\d{1,30}\s*", given) or str(int(given)) == given:
        return step
    return replace(step, values=step.values | {"experiment_id": str(int(given))})


def _without_null_lists(step: Step) -> Step:
    null = {name for name in ("metrics", "params", "tags") if step.values.get(name, "") is None}
    if step.endpoint != "POST runs/log-batch" or step.raw is not None or not null:
        return step
    return replace(step, values={name: value for name, value in step.values.items() if name not in null})


def _keys(step: Step) -> Iterable[str]:
    for item in [body(step), *(item for name in ("tags", "params", "metrics") for item in _items(step, name))]:
        if isinstance(item, dict) and isinstance(item.get("key"), str):
            yield item["key"]


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "server-error",
        "500, an HTML page among them, for some mistakes of the caller.",
        "4xx in MLflow's shape.",
        "The client repeats a 500 seven times, which takes four minutes, and then hides its text.",
        lambda e: e.stock.status >= 500 and e.refused,
    ),
    Difference(
        "half-parsed",
        "Where a field has a wrong type or a number is out of range, that field and all behind it are read as if they "
        "were not there: a timestamp of 1.5 is stored as 0, with status 200. A status of 1.5 counts as the status 1.",
        "400 INVALID_PARAMETER_VALUE, which names the field.",
        "A value that nobody sent must not be stored.",
        lambda e: e.refused and does_not_fit(e.step),
    ),
    Difference(
        "broken-json",
        "A body that is no JSON, or a JSON string that holds JSON, counts as an empty one or as the JSON in it.",
        "400 BAD_REQUEST.",
        "A truncated body must not become another request.",
        lambda e: e.ours.code == "BAD_REQUEST" and e.step.raw is not None and not isinstance(body(e.step), dict),
    ),
    Difference(
        "content-type",
        "400 for a body that does not call itself application/json.",
        "The body is read as JSON.",
        "The body says what it is.",
        asked=lambda step: step if step.content_type == JSON else replace(step, content_type=JSON),
    ),
    Difference(
        "signed-user",
        "`user_id` and the tag `mlflow.user` of a new run are what the body says.",
        "They are the caller, as signature or token say.",
        "The ledger proves who did what.",
        asked=_as_signer,
    ),
    Difference(
        "tags-of-new-runs-are-cut",
        "`runs/create` keeps tag values of any length, though its column holds 8,000 characters (sqlite lets it pass).",
        "They are cut at 8,000 characters, as every other call that sets a tag does on both servers.",
        "One rule for tags, and an item of a bounded size.",
        asked=_with_cut_tags,
    ),
    Difference(
        "own-words-for-queries",
        "A filter or order that is refused is explained in the words of the SQL behind it, at times as a BAD_REQUEST.",
        "The same refusal, in our own words.",
        "There is no SQL here.",
        lambda e: (
            e.on(*_SEARCHES)
            and e.stock.status == e.ours.status == 400
            and e.stock.code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
            and e.ours.code == "INVALID_PARAMETER_VALUE"
            and any(_texts(e.step))
        ),
    ),
    Difference(
        "version-has-a-user",
        "A model version has no `user_id`.",
        "`user_id` is the member who registered it.",
        "The registry decides what reaches production.",
        lambda e: e.stock.status == e.ours.status == 200,
        _no_version_user,
    ),
    Difference(
        "nan-is-text",
        "The bulk history writes NaN bare, which is no JSON.",
        'NaN is the text "NaN" there, as everywhere else.',
        "A strict parser must be able to read it.",
        lambda e: e.on("GET metrics/get-history-bulk") and e.stock.status == e.ours.status == 200,
        _nan_as_text,
    ),
    Difference(
        "links-to-models-are-checked",
        "A run can name any text as a model that it used or made.",
        "404 for a model that does not exist.",
        "A lineage with dangling ends is none.",
        lambda e: (
            e.on("POST runs/log-inputs", "POST runs/outputs")
            and _says(e, "Logged model with ID", "Missing value for required parameter 'models[")
        ),
    ),
    Difference(
        "outputs-again",
        "Logging the same output again is an error of the database.",
        "200; it is noted once.",
        "The client repeats every call whose answer was lost.",
        lambda e: e.on("POST runs/outputs") and e.ours.status == 200 and "UNIQUE constraint" in e.stock.message,
    ),
    Difference(
        "model-params-again",
        "Logging a parameter of a logged model again is an error of the database, also with the same value.",
        "200 with the same value; 400 INVALID_PARAMETER_VALUE with another one.",
        "The client repeats every call whose answer was lost.",
        lambda e: e.on("POST logged-models/{model_id}/params") and "UNIQUE constraint" in e.stock.message,
    ),
    Difference(
        "a-version-has-files",
        "A version can be registered of a place without files.",
        "400: a version fixes its bytes, so there must be some.",
        "What is deployed is what was registered.",
        lambda e: e.on("POST model-versions/create") and _says(e, "Unable to register the model: there are no files"),
    ),
    Difference(
        "sources-below-the-root",
        "A source can be any address that is not on the server's own disk.",
        "400 unless it lies below the team's artifact root, in a run or in another version.",
        "Only there can a version fix its bytes.",
        lambda e: (
            e.on("POST model-versions/create") and _says(e, "Invalid model version source", "Unable to fetch model")
        ),
    ),
    Difference(
        "locations-below-the-root",
        "An experiment can keep its artifacts anywhere.",
        "400 unless below the team's artifact root.",
        "The team's key, its retention and its rights end there.",
        lambda e: e.on("POST experiments/create") and _says(e, "Invalid artifact location"),
    ),
    Difference(
        "reserved-tags",
        "Any tag can be set.",
        "400 for tags that begin with `labcycle.`",
        "They are what the platform says of a thing.",
        lambda e: e.refused and any(key.startswith("labcycle.") for key in _keys(e.step)),
    ),
    Difference(
        "names-in-new-runs",
        "`runs/create` takes tags of any name, the empty one too.",
        "400 for a name that `set-tag` refuses, too.",
        "One rule for tags.",
        lambda e: (
            e.on(
                "POST runs/create",
                "POST logged-models",
                "PATCH logged-models/{model_id}/tags",
                "POST logged-models/{model_id}/params",
                "POST experiments/create",
            )
            and e.ours.status == 400
            and any(m in e.ours.message for m in ("tags[", "params["))
        ),
    ),
    Difference(
        "sql-texts",
        "Some refusals are the error of the database, with the SQL that failed.",
        "A refusal that says what is wrong.",
        "There is no SQL here, and a user cannot mend it.",
        lambda e: e.both_refused and ("(sqlite3." in e.stock.message or "psycopg" in e.stock.message),
    ),
    Difference(
        "times-of-logged-models",
        "`last_updated_time` and the times with the prefix `attributes.` in a filter of logged models are compared as texts, or end in a "
        "500.",
        "They are numbers, as `last_updated_timestamp` is.",
        "MLflow's documentation names it.",
        lambda e: (
            e.on("POST logged-models/search")
            and re.search(
                r"last_updated_time(?!stamp)|attributes\.(creation|last_updated)_time", str(e.step.values.get("filter"))
            )
            is not None
            and (e.stock.status != 200 or e.ours.status == 200)
        ),
    ),
    Difference(
        "page-tokens-are-ours",
        "Some tokens that no search made are taken for an offset.",
        "400 for a token that the same search did not make.",
        "A page of another search would be a wrong answer.",
        lambda e: _says(e, "Invalid page token") and "page_token" in e.step.values,
    ),
    Difference(
        "ids-of-runs",
        "What can be no id of a run is looked for.",
        "400 INVALID_PARAMETER_VALUE.",
        "It is a mistake, not a run that has no points.",
        lambda e: (
            (e.on("POST runs/log-metric") or e.step.endpoint.startswith("GET metrics/"))
            and _says(e, "Invalid value")
            and "run_id" in e.ours.message
        ),
    ),
    Difference(
        "locations-end-without-slash",
        "A slash at the end of an experiment's artifact location is kept.",
        "It is dropped.",
        "Two spellings of one place are one too many for retention and rights.",
        asked=_without_slash,
    ),
    Difference(
        "which-mistake-comes-first",
        "Of two mistakes in a call that logs or registers, one is named.",
        "The other one is: names and numbers are looked at in one pass, and models before the run.",
        "A point is read once.",
        lambda e: (
            e.on("POST runs/log-batch", "POST runs/log-metric", "POST model-versions/create")
            and e.both_refused
            and (
                _says(e, "Logged model with ID")
                or (_says(e, "Invalid value") and e.stock.message.startswith("Missing"))
            )
        ),
    ),
    Difference(
        "nan-of-logged-models",
        "A metric of a logged model that is not a number is stored as 0.",
        "It is NaN.",
        "A value that nobody sent must not be stored.",
        lambda e: e.stock.status == e.ours.status == 200 and "logged-models" in e.step.endpoint,
        lambda stock, ours: (_with_nan(stock, ours), ours),
    ),
    Difference(
        "keywords-in-any-case",
        "In filters of experiments LIKE, ILIKE, IN and NOT IN must be upper-case, elsewhere not.",
        "Everywhere in any case.",
        "One language for all searches.",
        lambda e: (
            e.on("POST experiments/search", "GET experiments/search")
            and e.stock.message.startswith("Invalid comparator")
            and e.ours.status == 200
            and re.search(r"\b(like|ilike|in)\b", str(e.step.values.get("filter"))) is not None
        ),
    ),
    Difference(
        "numbers-of-python",
        'A text counts as a number where Python takes it for one: "1_0", "inf", " 1".',
        "400: the numbers of JSON, and NaN, Infinity, -Infinity.",
        "The next client is not written in Python.",
        lambda e: (
            e.on("POST runs/log-metric", "POST runs/log-batch")
            and _says(e, "Invalid value '")
            and any(
                isinstance(i.get("value"), str)
                for i in [body(e.step), *_items(e.step, "metrics")]
                if isinstance(i, dict)
            )
        ),
    ),
    Difference(
        "pages-of-logged-models",
        "A page of logged models can be of any length.",
        "At most 1,000.",
        "An answer must fit into 6 MB.",
        lambda e: e.on("POST logged-models/search") and _says(e, "Invalid value") and "at most 1000" in e.ours.message,
    ),
    Difference(
        "backslash-before-a-quote",
        "A backslash before the quote that ends a text of a filter swallows the quote.",
        "A backslash is a backslash.",
        "No text of MLflow's says that it escapes.",
        lambda e: e.on(*_SEARCHES) and any("\\'" in text or '\\"' in text for text in _texts(e.step)),
    ),
    Difference(
        "empty-pages",
        "Some searches take a `max_results` of 0, and answer with nothing, or with a token that leads to itself.",
        "400.",
        "A client that follows the token never ends.",
        lambda e: _says(e, "Invalid value") and "'max_results'" in e.ours.message and "positive" in e.ours.message,
    ),
    Difference(
        "ids-of-experiments",
        "An experiment's id may have blanks and leading zeros, and is answered so.",
        "It is answered without.",
        "One id for one thing.",
        asked=_with_plain_id,
    ),
    Difference(
        "pending-once",
        "A logged model that is ready can become pending again, or get a status that there is not.",
        "400: it becomes ready, or its upload failed.",
        "Whoever loads it may rely on it.",
        lambda e: (
            e.on("PATCH logged-models/{model_id}")
            and _says(e, "Invalid model status", "Invalid value", "Missing value for required parameter 'status'")
        ),
    ),
    Difference(
        "keys-that-are-keywords",
        "A key that is a word of SQL (`params.in`) must be quoted in a filter.",
        "It need not be.",
        "There is no SQL here.",
        lambda e: (
            e.on(*_SEARCHES)
            and e.stock.message.startswith(("Invalid clause", "Invalid filter string"))
            and e.ours.status == 200
            and ".in " in str(e.step.values.get("filter"))
        ),
    ),
    Difference(
        "inputs-have-keys",
        "Tags of an input may have no name, and data sets none either.",
        "400, which names the place.",
        "Nobody could ask for it.",
        lambda e: e.on("POST runs/log-inputs") and _says(e, "Missing value for required parameter 'datasets["),
    ),
    Difference(
        "logged-once",
        "A model that a client before MLflow 3 logs again is listed again in the run's tag `mlflow.log-model.history`.",
        "It is listed once.",
        "The client repeats every call whose answer was lost.",
        lambda e: e.stock.status == e.ours.status == 200 and "log-model.history" in json.dumps(e.stock.doc),
        lambda stock, ours: (_each_model_once(stock), ours),
    ),
    Difference(
        "html-pages",
        "404 and 405 are HTML pages where no endpoint was found, for one for a tag of a logged model with a slash in it.",
        "404 in MLflow's shape.",
        "The client shows the text of JSON alone.",
        lambda e: e.stock.status in (404, 405) and e.stock.doc is None and e.ours.status == 404,
    ),
    Difference(
        "texts-are-quoted",
        "In a filter of logged models a word without quotes counts as a text.",
        "400, as in every other search of both servers.",
        "One language for all searches.",
        lambda e: (
            e.on("POST logged-models/search")
            and e.stock.status == 200
            and _says(e, "Invalid clause", "Expected a quoted")
            and re.search(r"=\s*[\w.]", str(e.step.values.get("filter"))) is not None
        ),
    ),
    Difference(
        "plain-paths",
        "A path of an artifact may go through `.`, and is looked at before the run or model.",
        "400 for `.`; a run or model that is not there comes first.",
        "Keys of S3 know no `.`.",
        lambda e: (
            e.on("GET artifacts/list", "GET logged-models/{model_id}/artifacts/directories")
            and (_says(e, "Invalid path") or (e.refused and e.stock.message.startswith("Invalid path")))
        ),
    ),
    Difference(
        "null-lists",
        "`null` for a list of `log-batch` ends in a 500.",
        "It is no list, as for every other call of both servers.",
        "Clients of other languages send it.",
        asked=_without_null_lists,
    ),
    Difference(
        "repeated-parameters",
        "Of a query parameter that is there twice, and is no list, the first counts.",
        "400.",
        "Which one was meant is not known.",
        lambda e: e.step.method == "GET" and _says(e, "Invalid value [") and "of type 'list'" in e.ours.message,
    ),
    Difference(
        PARTS,
        "A `log-batch` that is refused for its metrics has stored its parameters by then.",
        "A refused call changes nothing.",
        "The client does not know what was stored.",
    ),
)
