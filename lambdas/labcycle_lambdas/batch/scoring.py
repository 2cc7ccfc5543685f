"""Score one object: its predictions, its errors, and last the result that says it is done."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labcycle_lambdas.batch.places import Places
from labcycle_lambdas.batch.plan import Plan
from labcycle_lambdas.batch.store import Content, Store, TooLarge
from labcycle_lambdas.batch.watching import Watched, Watching
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.payload import read
from labcycle_lambdas.model_server.runnable import Runnable
from labcycle_lambdas.model_server.scoring import fitting, score
from labcycle_lambdas.row_files import Part, Unreadable, parts

OBJECT_BYTES = 500_000_000
SCORED, FAILED = "scored", "failed"
_Predicted = tuple[int, Any, str, str]  # number of a row, its prediction, the id of that, and the error
_LONGEST_KEY = 1024  # bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html


@dataclass(frozen=True)
class Scoring:
    """Scores objects with `graph`, the version that `plan` names."""

    store: Store
    places: Places
    plan: Plan
    graph: Callable[[], Runnable]
    watching: Watching
    now: Callable[[], datetime]

    def __call__(self, name: str) -> dict[str, Any]:
        """The result of an object, also where it cannot be scored. What has one for these bytes and this version keeps it."""
        run = self.plan.run
        before = self.store.document(self.places.result(run, name))
        started = stamp(self.now())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows"
            try:
                if len(self.places.predictions(run, name).encode()) > _LONGEST_KEY:
                    raise Unreadable("its name is so long that its predictions could not be named after it: shorten it")
                content = self.store.download(self.places.incoming + name, file, most_bytes=OBJECT_BYTES)
                if before and self._is_done(before, content):
                    return before
                if content is None:
                    raise Unreadable("it is no longer there")
                made = self._score(name, file, content, Path(folder), before is not None)
                result = {"object": name, "status": SCORED, **made}
            except TooLarge as error:
                why = f"it has {error.size / 1e6:.0f} MB, and {OBJECT_BYTES / 1e6:.0f} MB are taken at most: split it"
                result = {"object": name, "status": FAILED, "why": why}
            except Unreadable as error:
                result = {"object": name, "status": FAILED, "why": str(error)}
        deployed = self.plan.deployed
        result |= {"version": deployed.version, "model_sha256": deployed.model_file.sha256}
        result |= {"started": started, "ended": stamp(self.now())}
        if len(self.places.result(run, name).encode()) <= _LONGEST_KEY:
            self.store.keep(self.places.result(run, name), result)
        return result

    def _is_done(self, result: dict[str, Any], content: Content | None) -> bool:
        """Whether it tells of these bytes and this version; of an object that was taken away since, it holds."""
        deployed = self.plan.deployed
        with_this = (result["version"], result["model_sha256"]) == (deployed.version, deployed.model_file.sha256)
        same = content is None or result.get("input", {}).get("sha256") == content.sha256
        return result["status"] == SCORED and with_this and same

    def _score(self, name: str, file: Path, content: Content, folder: Path, again: bool) -> dict[str, Any]:
        rows = failed = 0
        watched = self.watching.begin(self.plan, name)
        predictions, errors = folder / "predictions", folder / "errors"
        with predictions.open("w", encoding="utf-8") as good, errors.open("w", encoding="utf-8") as bad:
            for part in parts(file.open("rb"), name):
                if not part.rows:
                    self._check_header(part)
                for number, prediction, prediction_id, error in self._predict(part, watched):
                    rows += 1
                    if error:
                        failed += 1
                        bad.write(_line({"row": number, "error": error}))
                    else:
                        named = {"prediction_id": prediction_id} if prediction_id else {}
                        good.write(_line({"row": number, "prediction": prediction, **named}))
        watched.end()
        made: dict[str, Any] = {"rows": rows, "failed_rows": failed, "input": content.to_doc()}
        if failed or again:  # in the place of what an earlier try may have left
            made["errors"] = self.store.upload(errors, self.places.errors(self.plan.run, name)).to_doc()
        made["predictions"] = self.store.upload(predictions, self.places.predictions(self.plan.run, name)).to_doc()
        return made

    def _check_header(self, part: Part) -> None:
        """Columns that do not fit are wrong in each row: that is told once."""
        try:
            fitting(read(part.request(), self.graph().schema).data, self.graph())
        except MlflowError as error:
            raise Unreadable(str(error)) from None

    def _predict(self, part: Part, watched: Watched) -> Iterator[_Predicted]:
        """Of each row, in their order."""
        together: list[Any] = []
        for row in part.rows:
            if row.refused:
                yield from self._predict_together(Part(part.header, together), watched)
                together = []
                yield row.number, None, "", row.refused
            else:
                together.append(row)
        yield from self._predict_together(Part(part.header, together), watched)

    def _predict_together(self, part: Part, watched: Watched) -> Iterator[_Predicted]:
        """Where the server refuses rows, it is asked for each half of them, until it is known which they are."""
        if not part.rows:
            return
        try:
            scored = score(part.request(), self.graph(), chances=self.watching.keeping.wanted_chances)
        except MlflowError as error:
            if len(part.rows) == 1:
                yield part.rows[0].number, None, "", _of_one_row(watched.told(error))
                return
            for half in part.halves():
                yield from self._predict_together(half, watched)
            return
        if len(scored.first) != len(part.rows):
            raise Unreadable(
                f"the model gave {len(scored.first)} predictions for {len(part.rows)} rows: only a model whose first output has "
                "one for each row can score batches"
            )
        ids = watched.count(scored, [row.number for row in part.rows])
        for row, prediction, prediction_id in zip(part.rows, scored.first, ids, strict=True):
            yield row.number, prediction, prediction_id, ""


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False) + "\n"


def _of_one_row(message: str) -> str:
    """Without the number of the row in its request, which is not that in the file."""
    return message.replace("Row 0, column", "Column", 1).replace("dataframe_records[0]", "It", 1)
