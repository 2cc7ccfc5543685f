"""What is live: one deployment record a model, the only truth about what a model server runs.

A version may stand beside the live one as a canary, which answers a share of the requests until it is promoted or taken back.
Another may be its shadow, which scores what the live one answered and answers nothing. A paused model answers nothing of its own.

The record is small and hot; what a version brings along (its files, signature and profile reference) stands in a
document of its own, named by its content, so that twenty previous versions never make the record too large for an item.
Record, custody event and the registry's alias `champion` change in one transaction, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.ledger.errors import NotFound, Refused
from labcycle_lambdas.ledger.table import Create, Doc, Item, Put, Replace, Table, Write
from labcycle_lambdas.ledger.times import stamp
from labcycle_lambdas.ledger.who import Who

if TYPE_CHECKING:
    from labcycle_lambdas.ledger.registry import Registry

CHAMPION = "champion"
PREVIOUS_KEPT = 20
DETAIL_BYTES = 350_000  # an item holds 400 KB
ANSWER_BYTES = 10_000
_CURRENT = "CURRENT"
Evidence = Mapping[str, Any]
Also = Callable[[], Iterable[Write]]  # asked at each attempt, since it may read what it replaces
NO_EVIDENCE: Evidence = {}


@dataclass(frozen=True)
class Previous:
    """A version that was live, as a roll back finds it. `promoted_at` is UTC in ISO 8601."""

    version: int
    source_run: str | None
    model_file: DeployedFile
    promoted_at: str
    promoted_by: str
    detail: str  # names the document that holds the rest


@dataclass(frozen=True)
class Canary:
    """A version that answers `percent` of the requests; its `promoted_at` and `promoted_by` tell since when, and by whom."""

    deployed: Deployed
    percent: int


@dataclass(frozen=True)
class Shadow:
    """A version that scores `percent` of the requests that the live one answers, and answers none; its `promoted_at` and
    `promoted_by` tell since when, and by whom. `in_process`: it runs in the memory of the model server."""

    deployed: Deployed
    percent: int
    in_process: bool = False


@dataclass(frozen=True)
class Pause:
    """Why a model answers nothing of its own, and what it answers instead for each row; None: an error."""

    answer: Any
    at: str
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Deployment:
    """The record of one model. `generation` counts its changes, 0 before the first; `previous` has the newest first."""

    model: str
    generation: int = 0
    live: Deployed | None = None
    previous: tuple[Previous, ...] = ()
    canary: Canary | None = None
    pause: Pause | None = None
    shadow: Shadow | None = None


@dataclass(frozen=True)
class Change:
    """What was done; `changed` is False where it was so already."""

    deployment: Deployment
    changed: bool


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Deployments:
    """The deployment records of a ledger. `now` gives the time of a change."""

    table: Table
    now: Callable[[], datetime] = field(default=_utc_now)

    def current(self, model: str) -> Deployment:
        """The record of `model`; without a live version where nothing was ever promoted. Raises `Throttled`."""
        item = self.table.get(_partition(model), _CURRENT)
        return self._deployment(model, item.doc if item else None)

    def live(self, models: Iterable[str]) -> dict[str, Previous]:
        """The live version of each model that has one, without what it was promoted with. Raises `Throttled`."""
        found = self.table.get_many((_partition(model), _CURRENT) for model in models)
        live = {pk.removeprefix(_partition("")): item.doc["live"] for (pk, _), item in found.items()}
        return {model: _previous(doc) for model, doc in live.items() if doc}

    def generation(self, model: str) -> int:
        """The generation of the record alone: half the price of `current`. Raises `Throttled`."""
        item = self.table.get(_partition(model), _CURRENT)
        return int(item.doc["generation"]) if item else 0

    def whole(self, model: str, previous: Previous) -> Deployed:
        """A version that was live, of the record of `model`, with all that it was promoted with. Raises `Throttled`."""
        item = self.table.get(_partition(model), f"DETAIL#{previous.detail}")
        if item is None:  # never removed, and written with the record
            raise LookupError(f"the ledger lost the detail {previous.detail} of {model} version {previous.version}")
        return Deployed(
            previous.version,
            previous.source_run,
            previous.model_file,
            tuple(DeployedFile(**file) for file in item.doc["files"]),
            item.doc["signature"],
            item.doc["reference"],
            previous.promoted_at,
            previous.promoted_by,
            item.doc.get("runtime"),
        )

    def promote(
        self,
        model: str,
        deployed: Deployed,
        who: Who,
        *,
        reason: str = "",
        evidence: Evidence = NO_EVIDENCE,
        also: Also = lambda: (),
    ) -> Change:
        """Make `deployed` live. A version that is live already, with the same bytes, stays as it is: no new event. The canary
        becomes live if it is this version; if it is the shadow, that ends. `evidence` goes into the event; `also` tells what is written in the same transaction.

        Raises
        ------
        NotFound
            If the registry does not have this version.
        Refused
            If signature and profile reference are too large to be kept, or another version is the canary.
        Throttled
            If DynamoDB did not take it, or too many change the record at once.
        """
        detail, write_detail = _detail(model, deployed)

        def once() -> Change:
            item = self.table.get(_partition(model), _CURRENT)
            doc = item.doc if item else _empty()
            live, canary = doc["live"], doc.get("canary")
            if live and live["version"] == deployed.version and live["detail"] == detail:
                return Change(self._deployment(model, doc), changed=False)
            if canary and canary["version"] != deployed.version:
                raise under_way(model, canary["version"], canary["percent"])
            new = {
                **_kept(doc),
                "live": self._side(deployed, detail, who),
                "previous": ([live] if live else []) + doc["previous"][: PREVIOUS_KEPT - (1 if live else 0)],
            }
            new, ended = _answering(new, deployed.version)
            said = {**ended, **evidence}
            self._write_live(model, item, new, "promoted", who, reason, said, live, write_detail, *also())
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def try_out(
        self,
        model: str,
        deployed: Deployed,
        percent: int,
        who: Who,
        *,
        reason: str = "",
        evidence: Evidence = NO_EVIDENCE,
        also: Also = lambda: (),
    ) -> Change:
        """Make `deployed` the canary, with `percent` (1 to 99) of the requests; or change the canary's share. If it is the shadow,
        that ends. `evidence`, `also`: as `promote`.

        Raises
        ------
        NotFound
            If the registry does not have this version.
        Refused
            If nothing is live, the version is live itself, or another version is the canary; or as `promote`.
        Throttled
            If DynamoDB did not take it, or too many change the record at once.
        """
        detail, write_detail = _detail(model, deployed)

        def once() -> Change:
            item = self._live_record(model, f"try version {deployed.version} beside")
            doc = item.doc
            live, canary = doc["live"], doc.get("canary")
            if live["version"] == deployed.version:
                raise Refused(f"Version {deployed.version} of {model} is live: it cannot be tried beside itself.")
            if canary and canary["version"] != deployed.version:
                raise under_way(model, canary["version"], canary["percent"])
            if canary and canary["detail"] == detail and canary["percent"] == percent:
                return Change(self._deployment(model, doc), changed=False)
            same = canary if canary and canary["detail"] == detail else None  # which is tried since then
            new = {**_kept(doc), "canary": {**(same or self._side(deployed, detail, who)), "percent": percent}}
            new, ended = _answering(new, deployed.version)
            self._registry().version(model, deployed.version)  # raises NotFound
            said = {
                "version": deployed.version,
                "percent": percent,
                "live_version": live["version"],
                "model_sha256": deployed.model_file.sha256,
            }
            action = "canary_changed" if canary else "canary_started"
            writes = [Replace(item, new), write_detail, *also()]
            self._append(model, action, who, {**said, **ended, **evidence}, reason, *writes)
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def roll_back(
        self,
        model: str,
        who: Who,
        *,
        from_version: int | None = None,
        to_version: int | None = None,
        passing_over: Collection[int] = (),
        reason: str = "",
        evidence: Evidence = NO_EVIDENCE,
        also: Also = lambda: (),
    ) -> Change:
        """Take the newest step back: the canary, where there is one; else the version that was live before is live again.
        What is taken back is dropped; `promote` brings it again. The shadow stays, unless it is the version that is live then.

        `from_version`: only if this version is live, or the canary. With it a call whose answer was lost can be repeated: where
        the roll back has happened already, nothing changes. `to_version`: only if this is the version that is live then.
        `passing_over`: versions that do not come back; those before the one that does are dropped. `evidence`, `also`: as `promote`.

        Raises
        ------
        Refused
            If nothing was live before, it was deleted, another version than `from_version` is live, there is a canary that is
            not taken back, or another than `to_version` would come back.
        Throttled
            If DynamoDB did not take it, or too many change the record at once.
        """

        def once() -> Change:
            item = self._live_record(model, "roll back")
            doc = item.doc
            live, canary = doc["live"], doc.get("canary")
            if canary and from_version in (None, canary["version"]):
                _must_come_back(model, live, canary, to_version)
                new = {**_kept(doc), "rolled_back_from": canary["version"]}
                said = {"version": canary["version"], "percent": canary["percent"], "live_version": live["version"]}
                self._append(model, "canary_withdrawn", who, {**said, **evidence}, reason, Replace(item, new), *also())
                return Change(self._deployment(model, new), changed=True)
            if canary:
                raise under_way(model, canary["version"], canary["percent"])
            if from_version is not None and live["version"] != from_version:
                if doc.get("rolled_back_from") == from_version and to_version in (None, live["version"]):
                    return Change(self._deployment(model, doc), changed=False)
                raise Refused(
                    f"Version {live['version']} of {model} is live, not version {from_version}: nothing was rolled back."
                )
            before = list(doc["previous"])
            while before and before[0]["version"] in passing_over:
                del before[0]
            if not before:
                raise Refused(
                    f"Version {live['version']} of {model} is the first that was promoted: there is no version to roll "
                    f"back to. Promote another version instead."
                )
            target, *rest = before
            _must_come_back(model, target, live, to_version)
            new = {
                **_kept(doc),
                "live": {**target, "promoted_at": stamp(self.now()), "promoted_by": str(who)},
                "previous": rest,
                "rolled_back_from": live["version"],
            }
            new, ended = _answering(new, target["version"])
            try:
                said = {**ended, **evidence}
                self._write_live(model, item, new, "rolled_back", who, reason, said, live, *also())
            except NotFound:
                raise Refused(
                    f"Version {target['version']} of {model}, which was live before version {live['version']}, was "
                    f"deleted from the registry: nothing was rolled back. Promote another version instead."
                ) from None
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def begin_shadow(
        self, model: str, deployed: Deployed, percent: int, who: Who, *, in_process: bool = False, reason: str = ""
    ) -> Change:
        """Make `deployed` the shadow of the live version, for `percent` (1 to 100) of what that answers; or change the share.

        Raises
        ------
        NotFound
            If the registry does not have this version.
        Refused
            If nothing is live, the version answers requests itself, or another version is the shadow; or as `promote`.
        Throttled
            If DynamoDB did not take it, or too many change the record at once.
        """
        detail, write_detail = _detail(model, deployed)

        def once() -> Change:
            item = self._live_record(model, f"let version {deployed.version} score beside")
            doc = item.doc
            live, shadow = doc["live"], doc.get("shadow")
            for side, what in ((live, "live"), (doc.get("canary"), "the canary")):
                if side and side["version"] == deployed.version:
                    raise Refused(f"Version {deployed.version} of {model} is {what}: it answers requests already.")
            if shadow and shadow["version"] != deployed.version:
                raise Refused(
                    f"Version {shadow['version']} of {model} is the shadow: end that first (labcycle models shadow {model} --off)."
                )
            same = shadow if shadow and shadow["detail"] == detail else None  # which is compared since then
            if same and (same["percent"], same["in_process"]) == (percent, in_process):
                return Change(self._deployment(model, doc), changed=False)
            self._registry().version(model, deployed.version)  # raises NotFound
            begun = {**(same or self._side(deployed, detail, who)), "percent": percent, "in_process": in_process}
            new = {**doc, "generation": doc["generation"] + 1, "shadow": begun}
            said = {
                "version": deployed.version,
                "percent": percent,
                "live_version": live["version"],
                "model_sha256": deployed.model_file.sha256,
            }
            action = "shadow_changed" if shadow else "shadow_started"
            self._append(model, action, who, said, reason, Replace(item, new), write_detail)
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def end_shadow(self, model: str, who: Who, *, reason: str = "") -> Change:
        """Let no version be the shadow. Raises `Refused` where nothing is live, and `Throttled`."""

        def once() -> Change:
            item = self._live_record(model, "end the shadow of")
            doc, shadow = item.doc, item.doc.get("shadow")
            if not shadow:
                return Change(self._deployment(model, doc), changed=False)
            new = {**_without_shadow(doc), "generation": doc["generation"] + 1}
            said = {"version": shadow["version"], "live_version": doc["live"]["version"]}
            self._append(model, "shadow_ended", who, said, reason, Replace(item, new))
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def pause(self, model: str, answer: object, who: Who, *, reason: str = "") -> Change:
        """Let the model answer `answer` for each row instead of a prediction; None: an error. Raises `Refused` where nothing
        is live, or the answer is too large, and `Throttled`."""
        if len(json.dumps(answer)) > ANSWER_BYTES:
            raise Refused(f"The answer of a paused model may have {ANSWER_BYTES} bytes at most.")

        def once() -> Change:
            item = self._live_record(model, "pause")
            pause, doc = item.doc.get("pause"), item.doc
            if pause and pause["answer"] == answer:
                return Change(self._deployment(model, doc), changed=False)
            new = {**doc, "generation": doc["generation"] + 1}
            new["pause"] = {"answer": answer, "at": stamp(self.now()), "by": str(who), "reason": reason}
            said = {"version": doc["live"]["version"], "answer": answer}
            self._append(model, "paused", who, said, reason, Replace(item, new))
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def resume(self, model: str, who: Who, *, reason: str = "") -> Change:
        """End the pause. Raises `Refused` where nothing is live, and `Throttled`."""

        def once() -> Change:
            item = self._live_record(model, "resume")
            doc = item.doc
            if not doc.get("pause"):
                return Change(self._deployment(model, doc), changed=False)
            new = {**doc, "generation": doc["generation"] + 1, "pause": None}
            said = {"version": doc["live"]["version"], "paused_at": doc["pause"]["at"]}
            self._append(model, "resumed", who, said, reason, Replace(item, new))
            return Change(self._deployment(model, new), changed=True)

        return self.table.until_unchanged(once)

    def _live_record(self, model: str, purpose: str) -> Item:
        """Raises `Refused` where no version is live."""
        item = self.table.get(_partition(model), _CURRENT)
        if item is None or not item.doc["live"]:
            raise Refused(f"No version of {model} is live: there is nothing to {purpose}.")
        return item

    def _side(self, deployed: Deployed, detail: str, who: Who) -> Doc:
        return {
            "version": deployed.version,
            "source_run": deployed.source_run,
            "model_file": asdict(deployed.model_file),
            "promoted_at": stamp(self.now()),
            "promoted_by": str(who),
            "detail": detail,
        }

    def _write_live(
        self,
        model: str,
        item: Item | None,
        new: Doc,
        action: str,
        who: Who,
        reason: str,
        evidence: Evidence,
        was: Doc | None,
        *also: Write,
    ) -> None:
        live = new["live"]
        said = {
            "version": live["version"],
            "previous_version": was["version"] if was else None,
            "generation": new["generation"],
            "model_sha256": live["model_file"]["sha256"],
            **evidence,
        }
        record = Replace(item, new) if item else Create(_partition(model), _CURRENT, new)
        alias = self._registry().set_alias_write(model, CHAMPION, live["version"])
        self._append(model, action, who, said, reason, record, alias, *also)

    def _append(self, model: str, action: str, who: Who, said: Mapping[str, Any], reason: str, *also: Write) -> None:
        from labcycle_lambdas.ledger.custody import Custody  # here, as the registry

        detail = {**said, **({"reason": reason} if reason else {})}
        Custody(self.table, self.now).append(f"model/{model}", action, who, detail, *also)

    def _registry(self) -> Registry:
        # Here, since a model server only reads: what the registry imports would be a part of its cold start.
        from labcycle_lambdas.ledger.registry import Registry

        return Registry(self.table, self.now)

    def _deployment(self, model: str, doc: Doc | None) -> Deployment:
        if not doc or not doc["live"]:
            return Deployment(model)
        canary, pause, shadow = doc.get("canary"), doc.get("pause"), doc.get("shadow")
        return Deployment(
            model,
            doc["generation"],
            self.whole(model, _previous(doc["live"])),
            tuple(_previous(p) for p in doc["previous"]),
            Canary(self.whole(model, _previous(canary)), canary["percent"]) if canary else None,
            Pause(**pause) if pause else None,
            Shadow(self.whole(model, _previous(shadow)), shadow["percent"], shadow["in_process"]) if shadow else None,
        )


def _partition(model: str) -> str:
    return f"DEPLOYMENT#{model}"


def _empty() -> Doc:
    return {"generation": 0, "live": None, "previous": []}


def _kept(doc: Doc) -> Doc:
    """What of a record is as before its next generation, in which there is no canary unless it is set."""
    kept = {key: value for key, value in doc.items() if key not in ("canary", "rolled_back_from")}
    return {**kept, "generation": doc["generation"] + 1}


def _answering(doc: Doc, version: int) -> tuple[Doc, Evidence]:
    """The record once this version answers requests, which a shadow does not; and what an event says of it."""
    if (doc.get("shadow") or {}).get("version") != version:
        return doc, NO_EVIDENCE
    return _without_shadow(doc), {"shadow_ended": version}


def _without_shadow(doc: Doc) -> Doc:
    return {key: value for key, value in doc.items() if key != "shadow"}


def under_way(model: str, version: int, percent: int) -> Refused:
    """What is said where a version is tried, and something else is to go live."""
    return Refused(
        f"Version {version} of {model} is the canary, with {percent} % of the requests: promote it, or take it back first "
        f"(labcycle models rollback {model})."
    )


def _must_come_back(model: str, target: Doc, leaving: Doc, to_version: int | None) -> None:
    if to_version is not None and target["version"] != to_version:
        raise Refused(
            f"Version {target['version']} of {model} was live before version {leaving['version']}, not version "
            f"{to_version}: nothing was rolled back."
        )


def _previous(doc: Mapping[str, Any]) -> Previous:
    """One side of the record."""
    fields = {key: value for key, value in doc.items() if key not in ("percent", "in_process")}
    return Previous(**{**fields, "model_file": DeployedFile(**doc["model_file"])})


def _detail(model: str, deployed: Deployed) -> tuple[str, Write]:
    doc = {
        "files": [asdict(file) for file in deployed.files],
        "signature": deployed.signature,
        "reference": deployed.reference,
        **({"runtime": deployed.runtime} if deployed.runtime else {}),
    }
    text = json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > DETAIL_BYTES:
        raise Refused(
            f"Version {deployed.version} of {model} cannot be deployed: its signature, files and profile reference take "
            f"{len(text)} bytes, at most {DETAIL_BYTES} can be kept. Log a reference.json with fewer columns."
        )
    name = hashlib.sha256(text).hexdigest()[:32]
    return name, Put(_partition(model), f"DETAIL#{name}", doc)
