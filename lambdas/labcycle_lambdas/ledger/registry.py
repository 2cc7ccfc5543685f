"""The model registry: registered models, their versions with the exact bytes they stand for, aliases, tags.

A registered model has a `uid` beside its name, so that a rename is one small transaction. Every change is an event in the
chain `model/<name>`, written in the same transaction; a rename is one in both names' chains.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.custody import Custody, told
from labcycle_lambdas.ledger.errors import AlreadyExists, InUse, NotFound, Refused
from labcycle_lambdas.ledger.evidence import Evidence, sha256
from labcycle_lambdas.ledger.logged_models import LoggedModels
from labcycle_lambdas.ledger.records import HEADER, Record, read, read_all
from labcycle_lambdas.ledger.repeats import marks
from labcycle_lambdas.ledger.table import Create, Delete, Exists, Item, Replace, Table, Write
from labcycle_lambdas.ledger.times import milliseconds
from labcycle_lambdas.ledger.who import LEDGER, Who

MODELS = "REGISTERED_MODELS"
VERSIONS = "VERSIONS"
STAGES = ("None", "Staging", "Production", "Archived")
MAXIMUM_FILES = 5_000
_FILES_A_PAGE = 200
_ARCHIVED_AT_ONCE = 80  # of a transaction's 100 items


@dataclass(frozen=True)
class PinnedFile:
    """A file of a model as it was when it was registered. `path` is relative to the model, `key` is the whole S3 key.

    `size` in bytes.
    """

    path: str
    key: str
    version_id: str
    size: int


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model. Times in milliseconds since 1970. `location` is where its bytes really lie.

    `files` is filled by `Registry.version` alone, not in lists.
    """

    name: str
    version: int
    source: str
    run_id: str
    model_id: str
    creation_timestamp: int
    last_updated_timestamp: int
    location: str = ""
    description: str = ""
    run_link: str = ""
    stage: str = "None"
    user_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    files: list[PinnedFile] = field(default_factory=list)


@dataclass(frozen=True)
class RegisteredModel:
    """`versions` are the living ones, in order; `description` is None where it was never given."""

    name: str
    uid: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: list[ModelVersion]

    def latest_versions(self, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """The highest version of each stage (of `stages` alone, where given)."""
        found = {version.stage: version for version in self.versions}
        return [version for stage, version in found.items() if not stages or stage in stages]


class Registry:
    """The registry of a ledger."""

    def __init__(self, table: Table, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._table = table
        self._now = now
        self._custody = Custody(table, now)
        self._logged_models = LoggedModels(table, now)
        self._evidence = Evidence(table)

    def register(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None, who: Who = LEDGER
    ) -> RegisteredModel:
        """A new registered model without versions. Raises `AlreadyExists`."""
        time = milliseconds(self._now)
        uid = uuid.uuid4().hex
        doc = {
            "uid": uid,
            "creation_timestamp": time,
            "last_updated_timestamp": time,
            "description": description,
            "versions": 0,
        }
        detail = {
            "uid": uid,
            **_described(description),
            **({"tags": {key: told(value) for key, value in tags.items()}} if tags else {}),
        }
        writes = (Create(MODELS, name, doc), *Record(VERSIONS, uid).part("TAGS").writes(tags or {}), *marks())
        try:
            self._custody.append(f"model/{name}", "created", who, detail, *writes)
        except Exists:
            raise AlreadyExists(f"Registered Model (name={name}) already exists.") from None
        return self.model(name)

    def model(self, name: str) -> RegisteredModel:
        """Raises `NotFound`."""
        header = self._header(name)
        return _model(header, list(read_all(self._table, VERSIONS, header.doc["uid"])))

    def models(self) -> Iterator[RegisteredModel]:
        """Every registered model, by name."""
        records: dict[str, list[Record]] = {}
        for record in read_all(self._table, VERSIONS):
            records.setdefault(record.id.partition(".")[0], []).append(record)
        for header in self._table.query(MODELS):
            yield _model(header, records.get(header.doc["uid"], []))

    def following(self, name: str) -> Iterator[RegisteredModel]:
        """Registered models behind a name, by name; each is read when it is asked for."""
        for header in self._table.query(MODELS, after=name or None):
            yield _model(header, list(read_all(self._table, VERSIONS, header.doc["uid"])))

    def update(self, name: str, description: str | None, who: Who = LEDGER) -> RegisteredModel:
        """Set the description. Raises `NotFound`."""

        def work() -> None:
            write = self._touch(self._header(name), {"description": description})
            if write.doc["description"] == write.item.doc["description"]:
                return self._table.write(write)
            self._custody.append(f"model/{name}", "described", who, _described(description), write)

        self._table.until_unchanged(work)
        return self.model(name)

    def rename(self, name: str, new_name: str, who: Who) -> RegisteredModel:
        """Raises `NotFound`, `AlreadyExists`, `InUse` (it is deployed)."""

        def work() -> None:
            header = self._header(name)
            now = milliseconds(self._now)
            doc = header.doc | {"last_updated_timestamp": now, "renamed_timestamp": now}
            if new_name == name:
                return self._table.write(Replace(header, doc))
            if self._table.get(MODELS, new_name):
                raise AlreadyExists(f"Registered Model (name={new_name}) already exists.")
            self._refuse_deployed(name)
            uid = header.doc["uid"]
            writes = (
                Delete(header),
                Create(MODELS, new_name, doc),
                *self._custody.writes(f"model/{new_name}", "renamed_from", who, {"old_name": name, "uid": uid}),
                *marks(),
            )
            self._custody.append(f"model/{name}", "renamed", who, {"new_name": new_name, "uid": uid}, *writes)

        self._table.until_unchanged(work)
        return self.model(new_name)

    def delete(self, name: str, who: Who) -> None:
        """The name becomes free; versions and the chain of custody stay in the table. Raises `NotFound`, `InUse`."""

        def work() -> None:
            header = self._header(name)
            self._refuse_deployed(name)
            detail = {"uid": header.doc["uid"], "versions": header.doc["versions"]}
            self._custody.append(f"model/{name}", "model_deleted", who, detail, Delete(header), *marks())

        self._table.until_unchanged(work)

    def set_tag(self, name: str, key: str, value: str, who: Who = LEDGER) -> None:
        """Raises `NotFound`."""
        self._change_tag(name, None, key, value, who)

    def delete_tag(self, name: str, key: str, who: Who = LEDGER) -> None:
        """Raises `NotFound` for the model; a missing tag is no error."""
        self._change_tag(name, None, key, None, who)

    def create_version(
        self,
        name: str,
        *,
        source: str,
        who: Who,
        files: Sequence[PinnedFile] = (),
        run_id: str = "",
        model_id: str = "",
        location: str = "",
        tags: Mapping[str, str] | None = None,
        description: str = "",
        run_link: str = "",
        request_key: str | None = None,
    ) -> ModelVersion:
        """A new version, with its pinned files and its event in the chain of custody, all or nothing.

        The event fixes the record of the run, as it is now, and the list of files.

        Parameters
        ----------
        request_key
            The same key again returns the version that the first call made.

        Raises
        ------
        NotFound
            If there is no such model, or `model_id` is unknown.
        Refused
            If there are more than 5,000 files.
        """
        if len(files) > MAXIMUM_FILES:
            raise Refused(f"A model version can hold {MAXIMUM_FILES} files at most, this one has {len(files)}.")
        of_run = self._evidence.of_run(run_id) if run_id else None
        fixed = {"run_sha256": self._evidence.fix(of_run) if of_run else None, "files_sha256": files_sha256(files)}

        def work() -> ModelVersion:
            header = self._header(name)
            if request_key and (done := self._table.get(f"REQUEST#{request_key}", HEADER)):
                return self.version(name, done.doc["version"])
            number = header.doc["versions"] + 1
            time = milliseconds(self._now)
            doc = {
                "version": number,
                "source": source,
                "location": location or source,
                "run_id": run_id,
                "model_id": model_id,
                "creation_timestamp": time,
                "last_updated_timestamp": time,
                "description": description,
                "run_link": run_link,
                "stage": "None",
                "user_id": str(who),
                "deleted": False,
            }
            record = Record(VERSIONS, _version_id(header, number))
            pages = [files[i : i + _FILES_A_PAGE] for i in range(0, len(files), _FILES_A_PAGE)]
            writes: list[Write] = [
                self._touch(header, {"versions": number}),
                Create(VERSIONS, f"{record.id}/{HEADER}", doc),
                *record.part("TAGS").writes(tags or {}),
                *(
                    Create(f"FILES#{record.id}", f"{page:04d}", {"files": [asdict(file) for file in batch]})
                    for page, batch in enumerate(pages)
                ),
                *(self._logged_models.registered_writes(model_id, name, number) if model_id else []),
                *([Create(f"REQUEST#{request_key}", HEADER, {"version": number})] if request_key else []),
                *marks(version=number),
            ]
            detail = {
                "version": number,
                "uid": header.doc["uid"],
                "source": source,
                "location": location or source,
                "run_id": run_id,
                "model_id": model_id,
                "files": len(files),
                **fixed,
                **_described(description),
                **({"tags": {key: told(value) for key, value in tags.items()}} if tags else {}),
            }
            self._custody.append(f"model/{name}", "registered", who, detail, *writes)
            return self.version(name, number)

        return self._table.until_unchanged(work)

    def version(self, name: str, version: int | str) -> ModelVersion:
        """One version, with aliases and pinned files. Raises `NotFound`."""
        header = self._header_of_version(name, version)
        record = self._version(name, version, header)
        aliases = [
            item.sk.rpartition("/ALIAS/")[2]
            for item in self._table.query(VERSIONS, f"{header.doc['uid']}/ALIAS/")
            if item.doc["version"] == int(version)
        ]
        files = [PinnedFile(**file) for page in self._table.query(f"FILES#{record.id}") for file in page.doc["files"]]
        return _model_version(header, record, tuple(sorted(aliases)), files)

    def versions(self, name: str) -> list[ModelVersion]:
        """The living versions, in order. Raises `NotFound`."""
        return self.model(name).versions

    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version behind an alias; `latest` is always the highest one. Raises `NotFound` for the model."""
        header = self._header(name)
        if alias.lower() == "latest":
            versions = self.versions(name)
            return self.version(name, versions[-1].version) if versions else None
        item = self._table.get(VERSIONS, f"{header.doc['uid']}/ALIAS/{alias}")
        try:
            return self.version(name, item.doc["version"]) if item else None
        except NotFound:
            return None

    def set_alias_write(self, name: str, alias: str, version: int | str) -> Write:
        """What sets an alias, to be written together with something else. Raises `NotFound`.

        Writing it raises `Exists` or `Changed` where somebody set the alias in between: make it again then.
        """
        header = self._header_of_version(name, version)
        self._version(name, version, header)
        sk = f"{header.doc['uid']}/ALIAS/{alias}"
        item = self._table.get(VERSIONS, sk)
        doc = {"version": int(version)}
        return Replace(item, doc) if item else Create(VERSIONS, sk, doc)

    def set_alias(self, name: str, alias: str, version: int | str, who: Who) -> None:
        """Raises `NotFound`."""

        def work() -> None:
            write = self.set_alias_write(name, alias, version)
            if isinstance(write, Replace) and write.doc == write.item.doc:
                return
            detail = {"alias": alias, "version": int(version)}
            self._custody.append(f"model/{name}", "alias_set", who, detail, write)

        self._table.until_unchanged(work)

    def delete_alias(self, name: str, alias: str, who: Who) -> None:
        """A missing alias is no error. Raises `NotFound` for the model."""

        def work() -> None:
            item = self._table.get(VERSIONS, f"{self._header(name).doc['uid']}/ALIAS/{alias}")
            if item:
                detail = {"alias": alias, "version": item.doc["version"]}
                self._custody.append(f"model/{name}", "alias_removed", who, detail, Delete(item))

        self._table.until_unchanged(work)

    def update_version(self, name: str, version: int | str, description: str, who: Who = LEDGER) -> ModelVersion:
        """Set the description. Raises `NotFound`."""

        def work() -> None:
            record = self._version(name, version, self._header_of_version(name, version))
            assert record.header
            write = self._touch(record.header, {"description": description})
            if write.doc["description"] == write.item.doc["description"]:
                return self._table.write(write)
            detail = {"version": int(version), **_described(description)}
            self._custody.append(f"model/{name}", "described", who, detail, write)

        self._table.until_unchanged(work)
        return self.version(name, version)

    def transition(
        self, name: str, version: int | str, stage: str, who: Who, *, archive_others: bool = False
    ) -> ModelVersion:
        """Move a version to a stage, and with `archive_others` the others of that stage to Archived.

        Raises
        ------
        NotFound
            If there is no such version.
        Refused
            If `stage` is none of MLflow's four, or others are to be archived out of None or Archived.
        """
        canonical = canonical_stage(stage)
        if archive_others and canonical not in ("Staging", "Production"):
            raise Refused(
                f"Model version transition cannot archive existing model versions because '{stage}' is not an Active stage."
            )

        def work() -> bool:
            header = self._header_of_version(name, version)
            moved = self._version(name, version, header)
            assert moved.header
            others = [v.version for v in self.versions(name) if v.stage == canonical] if archive_others else []
            archived = [other for other in others if other != int(version)][:_ARCHIVED_AT_ONCE]
            records = [self._version(name, other, header) for other in archived]
            before = moved.header.doc["stage"]
            writes: list[Write] = [
                self._touch(header, {}),
                self._touch(moved.header, {"stage": canonical}),
                *(self._touch(record.header, {"stage": "Archived"}) for record in records if record.header),
            ]
            if before == canonical and not archived:
                self._table.write(*writes)
            else:
                detail = {"version": int(version), "stage": canonical, "before": before, "archived": archived}
                self._custody.append(f"model/{name}", "stage_changed", who, detail, *writes)
            return len(archived) == _ARCHIVED_AT_ONCE

        while self._table.until_unchanged(work):
            pass
        return self.version(name, version)

    def set_version_tag(self, name: str, version: int | str, key: str, value: str, who: Who = LEDGER) -> None:
        """Raises `NotFound`."""
        self._change_tag(name, version, key, value, who)

    def delete_version_tag(self, name: str, version: int | str, key: str, who: Who = LEDGER) -> None:
        """Raises `NotFound` for the version; a missing tag is no error."""
        self._change_tag(name, version, key, None, who)

    def delete_version(self, name: str, version: int | str, who: Who) -> None:
        """Hide a version and remove its aliases; its number is never used again. Raises `NotFound`, `InUse`."""

        def work() -> None:
            header = self._header_of_version(name, version)
            record = self._version(name, version, header)
            assert record.header
            deployment = self._table.get(f"DEPLOYMENT#{name}", "CURRENT")
            for side, is_there in (
                ("live", "live: promote another one"),
                ("canary", "the canary: take it back"),
                ("shadow", "the shadow: end that"),
            ):
                if deployment and (deployment.doc.get(side) or {}).get("version") == int(version):
                    raise InUse(f"Model Version (name={name}, version={version}) is {is_there} first.")
            aliases = [
                Delete(item)
                for item in self._table.query(VERSIONS, f"{header.doc['uid']}/ALIAS/")
                if item.doc["version"] == int(version)
            ]
            gone = Replace(record.header, record.header.doc | {"deleted": True})
            self._custody.append(
                f"model/{name}",
                "version_deleted",
                who,
                {"version": int(version)},
                gone,
                self._touch(header, {}),
                *aliases[:90],
                *marks(),
            )

        self._table.until_unchanged(work)

    def _refuse_deployed(self, name: str) -> None:
        if self._table.get(f"DEPLOYMENT#{name}", "CURRENT"):
            raise InUse(f"Registered Model (name={name}) is deployed: it can be neither deleted nor renamed.")

    def _header(self, name: str) -> Item:
        header = self._table.get(MODELS, name)
        if header is None:
            raise NotFound(f"Registered Model with name={name} not found")
        return header

    def _header_of_version(self, name: str, version: int | str) -> Item:
        """As `_header`, where it is a version that is asked for: that is what is missing, then."""
        try:
            return self._header(name)
        except NotFound:
            raise _no_version(name, version) from None

    def _version(self, name: str, version: int | str, header: Item) -> Record:
        text = str(version)
        if text.isascii() and text.isdigit() and len(text) <= 10:
            record = read(self._table, VERSIONS, _version_id(header, int(text)))
            if record.header and not record.header.doc["deleted"]:
                return record
        raise _no_version(name, version)

    def _touch(self, header: Item, change: Mapping[str, Any]) -> Replace:
        return Replace(header, header.doc | {"last_updated_timestamp": milliseconds(self._now)} | dict(change))

    def _change_tag(self, name: str, version: int | str | None, key: str, value: str | None, who: Who) -> None:
        """Set or, with None, remove a tag of a version, or of the model itself."""

        def work() -> None:
            header = self._header(name) if version is None else self._header_of_version(name, version)
            record_id = header.doc["uid"] if version is None else self._version(name, version, header).id
            tags = read(self._table, VERSIONS, record_id).part("TAGS")
            writes = tags.writes({}, [key]) if value is None else tags.writes({key: value})
            if writes:
                action = "tag_removed" if value is None else "tag_set"
                detail = {
                    **({} if version is None else {"version": int(version)}),
                    "key": key,
                    **({} if value is None else {"value": told(value)}),
                }
                self._custody.append(f"model/{name}", action, who, detail, *writes)

        self._table.until_unchanged(work)


def _no_version(name: str, version: int | str) -> NotFound:
    return NotFound(f"Model Version (name={name}, version={version}) not found")


def canonical_stage(stage: str) -> str:
    """MLflow's spelling of a stage. Raises `Refused`."""
    for known in STAGES:
        if stage.lower() == known.lower():
            return known
    raise Refused(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")


def files_sha256(files: Sequence[PinnedFile]) -> str:
    """Fixes path, key, object version and size of every file, in their order."""
    return sha256([asdict(file) for file in files])


def _described(description: str | None) -> dict[str, str]:
    return {} if description is None else {"description": told(description)}


def _version_id(header: Item, version: int) -> str:
    return f"{header.doc['uid']}.{version:010d}"


def _model(header: Item, records: Sequence[Record]) -> RegisteredModel:
    uid = header.doc["uid"]
    own = next((record for record in records if record.id == uid), Record(VERSIONS, uid))
    living = [r for r in records if r.id != uid and r.header and not r.header.doc["deleted"]]
    versions = [_model_version(header, record) for record in living]
    numbers = {version.version for version in versions}
    aliases = {item.sk.rpartition("/ALIAS/")[2]: int(item.doc["version"]) for item in own.part("ALIAS").items}
    return RegisteredModel(
        name=header.sk,
        uid=uid,
        creation_timestamp=header.doc["creation_timestamp"],
        last_updated_timestamp=header.doc["last_updated_timestamp"],
        description=header.doc["description"],
        tags=own.entries("TAGS"),
        aliases={alias: number for alias, number in aliases.items() if number in numbers},
        versions=versions,
    )


def _model_version(
    header: Item, record: Record, aliases: tuple[str, ...] = (), files: Sequence[PinnedFile] = ()
) -> ModelVersion:
    assert record.header
    doc = {key: value for key, value in record.header.doc.items() if key != "deleted"}
    # MLflow's server writes each version anew where the model is renamed.
    doc["last_updated_timestamp"] = max(doc["last_updated_timestamp"], header.doc.get("renamed_timestamp", 0))
    return ModelVersion(name=header.sk, tags=record.entries("TAGS"), aliases=aliases, files=list(files), **doc)
