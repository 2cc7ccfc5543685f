"""Compare two versions of templates: what an update would replace and delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from labcycle.check.estate import Estate
from labcycle.check.references import exports, imports, referenced
from labcycle.check.template import Template, templates_at
from labcycle.errors import LabcycleError

from .fate import Fate, Resource, fate_of_deleted, fate_of_replaced
from .inventory import given_name
from .replacement import Cause, Pointer, changes, schema_of, values_at
from .stateful import STATEFUL, holding_of, what_it_holds

Action = Literal["replaced", "deleted", "orphaned", "changed type"]
_UNKNOWN = "unknown-"  # how the estate's texts for what AWS alone decides begin


class ComparisonError(LabcycleError):
    """The two cannot be compared."""


@dataclass(frozen=True)
class Change:
    """A resource that would be replaced or deleted.

    Parameters
    ----------
    template
        Name of the stack or file.
    action
        `orphaned`: its stack is not in the new version, which by itself deletes nothing.
    certain
        False where it depends on values that are known at the deployment only.
    causes
        Why, in sentences.
    holds
        What is in it; empty for a resource that holds nothing.
    fate
        What becomes of that; None where it holds nothing.
    refusal
        Why CloudFormation would refuse the update; empty if it would not.
    avoid
        How to keep it as it is.
    """

    template: str
    logical_id: str
    kind: str
    name: str
    construct_path: str
    action: Action
    certain: bool
    causes: tuple[str, ...]
    holds: str = ""
    fate: Fate | None = None
    refusal: str = ""
    avoid: str = ""

    @property
    def stateful(self) -> bool:
        return bool(self.holds)


@dataclass(frozen=True)
class Comparison:
    """What an update would do.

    Parameters
    ----------
    changes
        All that is replaced or deleted, stateful ones first within their template.
    updated, added
        How many resources are updated in place, and are new.
    orphaned, new
        Stacks that only the old, and only the new version has.
    compared
        How many stacks both have.
    """

    changes: tuple[Change, ...]
    updated: int
    added: int
    orphaned: tuple[str, ...]
    new: tuple[str, ...]
    compared: int

    @property
    def stateful(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.stateful)

    @property
    def stateless(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if not change.stateful)


def compare_paths(old: Path, new: Path) -> Comparison:
    """Compare what lies at two paths: assemblies, or templates in JSON or YAML.

    Raises
    ------
    CheckError
        If a path holds no template.
    ComparisonError
        If they have no stack in common.
    """
    before, after = templates_at(old), templates_at(new)
    if len(before) == len(after) == 1 and (old.is_file() or new.is_file()):
        # Made-up names begin with the template's: two files are two versions of one stack.
        name, account, region = _place(before[0])
        after = [replace(after[0], name=name, account=account, region=region)]
        pairs: list[tuple[Template, Template | None]] = [(before[0], after[0])]
        return _Comparing(before, after, pairs).run()
    by_place = {_place(template): template for template in after}
    common = [template for template in before if _place(template) in by_place]
    if not common:
        raise ComparisonError(
            f"{old} and {new} have no stack in common: {_names(before)} against {_names(after)}. Name two versions of one app, "
            f"or one template each"
        )
    return _Comparing(before, after, [(template, by_place.get(_place(template))) for template in before]).run()


def _place(template: Template) -> tuple[str, str, str]:
    return template.name, template.account, template.region


def _names(templates: Sequence[Template]) -> str:
    shown = [template.name for template in templates[:3]]
    return ", ".join(shown) + (" and others" if len(templates) > len(shown) else "")


@dataclass
class _Replacement:
    """A resource that is replaced, as far as it is known yet."""

    causes: list[Cause]

    @property
    def certain(self) -> bool:
        return any(cause.certain for cause in self.causes)


class _Comparing:
    def __init__(
        self, before: Sequence[Template], after: Sequence[Template], pairs: Sequence[tuple[Template, Template | None]]
    ) -> None:
        self._old, self._new = Estate(before), Estate(after)
        self._pairs = pairs
        self._nested = {
            str(resource.get("Metadata", {}).get("aws:asset:path", "")).removesuffix(".nested.template.json")
            for template in before
            for _, resource in template.resources("AWS::CloudFormation::Stack")
        }

    def run(self) -> Comparison:
        found: list[Change] = []
        updated = added = 0
        for old, new in self._pairs:
            if new is None:
                found += self._vanished(old)
                continue
            replaced = self._replaced(old, new)
            here = [self._replacement(old, new, one, replaced[one]) for one in replaced]
            here += self._deleted(old, new)
            found += sorted(here, key=lambda change: (not change.stateful, change.logical_id))
            added += sum(not old.resource(logical_id) for logical_id, _ in new.resources())
            gone = {change.logical_id for change in here}
            updated += sum(
                logical_id not in gone and bool(new.resource(logical_id)) and self._differs(old, new, logical_id)
                for logical_id, _ in old.resources()
            )
        kept = {_place(new) for _, new in self._pairs if new}
        return Comparison(
            changes=tuple(found),
            updated=updated,
            added=added,
            orphaned=tuple(old.name for old, new in self._pairs if new is None),
            new=tuple(template.name for template in self._new.templates if _place(template) not in kept),
            compared=len(kept),
        )

    # ---- replaced -------------------------------------------------------------------------------------------------

    def _replaced(self, old: Template, new: Template) -> dict[str, _Replacement]:
        """All that is replaced, also since it refers to what is replaced."""
        found: dict[str, _Replacement] = {}
        for logical_id, resource in old.resources():
            causes = list(self._direct(old, new, logical_id)) if new.resource(logical_id) else []
            if causes and new.resource(logical_id).get("Type") == resource.get("Type"):
                found[logical_id] = _Replacement(causes)
        grows = True
        while grows:
            grows = False
            for logical_id, _ in old.resources():
                for cause in self._through(new, logical_id, found):
                    known = found.setdefault(logical_id, _Replacement([]))
                    if cause not in known.causes:
                        known.causes.append(cause)
                        grows = True
        return found

    def _direct(self, old: Template, new: Template, logical_id: str) -> Iterator[Cause]:
        kind = str(old.resource(logical_id).get("Type", ""))
        schema = schema_of(kind, old.region)
        if schema is None:
            return
        before = self._old.value(old, old.properties(logical_id))
        after = self._new.value(new, new.properties(logical_id))
        fixed = STATEFUL[kind].fixed if kind in STATEFUL else ()
        for cause in changes(kind, schema, before, after):
            pointer = tuple(cause.property_path.split("."))
            known = _known(self._old, old, logical_id, pointer) and _known(self._new, new, logical_id, pointer)
            if pointer[0] not in fixed:
                yield Cause(cause.property_path, cause.sentence, cause.certain and known)

    def _through(self, new: Template, logical_id: str, found: Mapping[str, _Replacement]) -> Iterator[Cause]:
        """Properties that replace the resource when they change, and that hold a value of a replaced one."""
        schema = schema_of(str(new.resource(logical_id).get("Type", "")), new.region)
        if schema is None:
            return
        for pointers, always in ((schema.create_only, True), (schema.conditional, False)):
            for pointer in pointers:
                for other in sorted(referenced(values_at(new.properties(logical_id), pointer)) & found.keys()):
                    if other != logical_id:
                        sentence = f"{'.'.join(pointer)} refers to {other}, which is replaced"
                        yield Cause(".".join(pointer), sentence, always and found[other].certain)

    def _replacement(self, old: Template, new: Template, logical_id: str, replacement: _Replacement) -> Change:
        resource = self._resource(old, logical_id)
        after = given_name(self._new, new, logical_id)
        refusals = []
        if resource.name and resource.name == after:
            refusals.append(
                f"CloudFormation refuses the update while the name stays {after}: it makes the new one first, "
                "and the name is taken"
            )
        refusals += self._imported(old, logical_id)
        named = {cause.property_path for cause in replacement.causes if cause.certain} or {
            cause.property_path for cause in replacement.causes
        }
        holding = holding_of(resource.kind, resource.properties, resource.name)
        avoid = (
            f"Leave {' and '.join(sorted(named))} as it was; for another value, add a second resource beside this one"
        )
        return Change(
            template=old.name,
            logical_id=logical_id,
            kind=resource.kind,
            name=resource.name,
            construct_path=old.construct_path(logical_id),
            action="replaced",
            certain=replacement.certain,
            causes=tuple(cause.sentence for cause in replacement.causes),
            holds=self._holds(old, logical_id, resource),
            fate=fate_of_replaced(resource, new.resource(logical_id), holding) if holding else None,
            refusal="; ".join(refusals),
            avoid=f"{avoid}, copy what it holds, and remove this one in a later update" if holding else "",
        )

    def _imported(self, template: Template, logical_id: str) -> list[str]:
        """Stacks that import a value of the resource: an export in use cannot change."""
        names = {self._old.text(template, name) for name, value in exports(template) if logical_id in referenced(value)}
        users = sorted(
            {
                other.name
                for other in self._old.templates
                for _, name in imports(other.body)
                if other is not template and self._old.text(other, name) in names
            }
        )
        return [f"{', '.join(users)} imports it, and an export in use cannot change"] if users else []

    # ---- deleted --------------------------------------------------------------------------------------------------

    def _deleted(self, old: Template, new: Template) -> Iterator[Change]:
        for logical_id, resource in old.resources():
            after = new.resource(logical_id)
            if not after:
                yield self._gone(old, logical_id, "deleted", ("it is not in the new template",), new)
            elif after.get("Type") != resource.get("Type"):
                change = self._gone(
                    old, logical_id, "changed type", (f"its type becomes {after.get('Type')} under the same id",), None
                )
                refusal = "CloudFormation refuses to change the type of a resource. Give the new one another id"
                yield _with_refusal(change, refusal)
            elif _condition(old, logical_id) != _condition(new, logical_id):
                cause = "its condition changes, and where it does not hold the resource is not there"
                yield self._gone(old, logical_id, "deleted", (cause,), None, certain=False)

    def _vanished(self, old: Template) -> list[Change]:
        """All resources of a stack that is not in the new version."""
        nested = old.name in self._nested
        cause = "its nested stack is not in the new version" if nested else "its stack is not in the new version"
        found = [
            self._gone(old, logical_id, "deleted" if nested else "orphaned", (cause,), None)
            for logical_id, _ in old.resources()
        ]
        return sorted(found, key=lambda change: (not change.stateful, change.logical_id))

    def _gone(
        self,
        old: Template,
        logical_id: str,
        action: Action,
        causes: tuple[str, ...],
        new: Template | None,
        *,
        certain: bool = True,
    ) -> Change:
        resource = self._resource(old, logical_id)
        holding = holding_of(resource.kind, resource.properties, resource.name)
        refusal, avoid = "", "Keep it in the template" if action == "deleted" else ""
        if action == "orphaned":
            avoid = "Keep its stack in the app; to end it, `cdk destroy` it from the old version"
        twin = self._twin(old, logical_id, resource) if action != "changed type" else None
        if twin:
            template, other = twin
            there = other if template is new else f"{other} in {template.name}"
            same_name = resource.name and resource.name == given_name(self._new, template, other)
            causes = (
                *causes,
                f"the new version has {'one of its name' if same_name else 'the same resource'} as {there}",
            )
            if same_name:
                refusal = (
                    f"The update fails: {there} is made before this one is deleted, and {resource.name} already exists"
                )
            avoid = (
                f"Keep the id: the path of the construct makes it, or `override_logical_id({logical_id!r})`. "
                "`cdk refactor` moves a deployed resource to another id or stack"
            )
        return Change(
            template=old.name,
            logical_id=logical_id,
            kind=resource.kind,
            name=resource.name,
            construct_path=old.construct_path(logical_id),
            action=action,
            certain=certain,
            causes=causes,
            holds=self._holds(old, logical_id, resource),
            fate=fate_of_deleted(resource, holding) if holding else None,
            refusal=refusal,
            avoid=avoid if holding or twin else "",
        )

    def _twin(self, old: Template, logical_id: str, resource: Resource) -> tuple[Template, str] | None:
        """The same resource under another id: of the same type and name, or of the same properties in the same stack."""
        before = {_place(template): template for template in self._old.templates}
        same = None
        for template, other, found in self._new.resources(resource.kind):
            earlier = old if len(self._pairs) == 1 else before.get(_place(template))
            if (template.name == old.name and other == logical_id) or (earlier and earlier.resource(other)):
                continue
            if resource.name and resource.name == given_name(self._new, template, other):
                return template, other
            if template.name == old.name or len(self._pairs) == 1:
                alike = self._new.value(template, found.get("Properties", {})) == resource.properties
                same = same or ((template, other) if alike and resource.properties else None)
        return same

    # ---- both -----------------------------------------------------------------------------------------------------

    def _resource(self, old: Template, logical_id: str) -> Resource:
        raw = old.resource(logical_id)
        emptied = any(
            logical_id in referenced(other.get("Properties", {}).get("BucketName"))
            for _, other in old.resources("Custom::S3AutoDeleteObjects")
        )
        return Resource(
            kind=str(raw.get("Type", "")),
            properties=self._old.value(old, old.properties(logical_id)),
            name=given_name(self._old, old, logical_id),
            deletion_policy=str(raw.get("DeletionPolicy", "")),
            replace_policy=str(raw.get("UpdateReplacePolicy", "")),
            emptied=emptied,
        )

    def _holds(self, old: Template, logical_id: str, resource: Resource) -> str:
        holding = holding_of(resource.kind, resource.properties, resource.name)
        if holding is None:
            return ""
        holds = what_it_holds(resource.kind, holding, resource.name)
        if resource.kind == "AWS::KMS::Key":
            encrypted = self._encrypted_with(old, logical_id)
            holds += f": {', '.join(encrypted)}" if encrypted else ""
        return holds

    def _encrypted_with(self, template: Template, key: str) -> list[str]:
        """Stateful resources of all stacks that refer to the key, in words."""
        arn = self._old.arn(template, key)
        exported = {self._old.text(template, name) for name, value in exports(template) if key in referenced(value)}
        found = []
        for other, logical_id, resource in self._old.resources(*STATEFUL):
            if other is template and logical_id == key:
                continue
            raw = other.properties(logical_id)
            by_import = any(self._old.text(other, name) in exported for name in imports(raw))
            if by_import or (other is template and key in referenced(raw)) or arn in self._old.text(other, raw):
                kind = str(resource["Type"]).rpartition("::")[2]
                found.append(f"{kind} {given_name(self._old, other, logical_id) or f'{other.name}/{logical_id}'}")
        return found

    def _differs(self, old: Template, new: Template, logical_id: str) -> bool:
        before, after = old.resource(logical_id), new.resource(logical_id)
        keys = ("DeletionPolicy", "UpdateReplacePolicy", "UpdatePolicy")
        return any(before.get(key) != after.get(key) for key in keys) or (
            self._old.value(old, old.properties(logical_id)) != self._new.value(new, new.properties(logical_id))
        )


def _known(estate: Estate, template: Template, logical_id: str, pointer: Pointer) -> bool:
    """Whether a value is known before the deployment: it has no parameter in it, and nothing that AWS decides."""
    raw = template.properties(logical_id).get(pointer[0])
    return _UNKNOWN not in estate.text(template, raw) and not referenced(raw) & set(template.body.get("Parameters", {}))


def _condition(template: Template, logical_id: str) -> Any:
    name = template.resource(logical_id).get("Condition")
    return (name, template.body.get("Conditions", {}).get(name)) if name else None


def _with_refusal(change: Change, refusal: str) -> Change:
    return replace(change, refusal=refusal, avoid="Give the new resource an id of its own, and keep this one")
