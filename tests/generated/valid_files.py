"""What holds for all valid files. Two test modules run it, each on half of the configurations, so that two cores share it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from labcycle.check import check
from labcycle.check.acknowledgement import METADATA_KEY
from labcycle.check.checkers import all_checkers
from labcycle.config import names
from tests.generated.configurations import Configuration, configuration
from tests.generated.synthesis import synthesize_elsewhere, synthesize_here

Files = Mapping[Path, bytes]
# What a file can ask for and the gate has to tell: packs of compliance rules, and tiers that a region does not have.
ASKED_FOR = ("HIPAA.", "NIST.", "PCI.", "E3628")
SLOW = ("cdk-nag", "cfn-lint", "cloudformation-validate", "parliament")


@dataclass(frozen=True)
class Synthesized:
    """A configuration, synthesized here, and elsewhere from files that another hand wrote without one of the teams."""

    configuration: Configuration
    here: Path
    elsewhere: Path

    @cached_property
    def files_here(self) -> Files:
        return _files(self.here)

    @cached_property
    def files_elsewhere(self) -> Files:
        return _files(self.elsewhere)


def synthesized(numbers: Sequence[int], folder: Path) -> list[Synthesized]:
    """The configurations of these numbers."""
    made = [configuration(number) for number in numbers]
    home = folder / "a home with spaces"
    home.mkdir()
    found = [Synthesized(one, folder / "here" / str(one.number), home / "out" / str(one.number)) for one in made]
    synthesize_here([(one.configuration.written_to(_config(one.here)), one.here) for one in found])
    synthesize_elsewhere(
        [(one.configuration.rewritten_to(_config(one.elsewhere)), one.elsewhere) for one in found], home
    )
    return found


def _config(out: Path) -> Path:
    return out.with_name(f"config-{out.name}")


def _files(assembly: Path) -> Files:
    """What would be deployed: the templates, and the manifests of the assets."""
    return {
        path.relative_to(assembly): path.read_bytes()
        for pattern in ("*.template.json", "*.assets.json")
        for path in assembly.rglob(pattern)
    }


def _of_team(path: Path, team: str) -> bool:
    return path.parts[0] == f"assembly-{names.team_stage(team)}"


class ValidFiles:
    """Half of the 200 teams: 4 configurations of 25 teams on 5 targets."""

    numbers: range

    @pytest.fixture(scope="class")
    @classmethod
    def synthesized(cls, tmp_path_factory: pytest.TempPathFactory) -> list[Synthesized]:
        return synthesized(cls.numbers, tmp_path_factory.mktemp("generated"))

    def test_every_team_is_synthesized(self, synthesized: list[Synthesized]) -> None:
        for one in synthesized:
            for team in one.configuration.teams:
                stages = {path.parts[0] for path in one.files_here if _of_team(path, team["team"])}
                assert len(stages) == 1, team

    def test_a_team_that_leaves_takes_its_own_stacks_with_it_and_no_other(self, synthesized: list[Synthesized]) -> None:
        for one in synthesized:
            gone = set(one.files_here) - set(one.files_elsewhere)
            assert gone and not set(one.files_elsewhere) - set(one.files_here)
            assert all(_of_team(path, one.configuration.leaver["team"]) for path in gone), gone

    def test_nothing_depends_on_the_order_of_keys_the_machine_or_another_team(
        self, synthesized: list[Synthesized]
    ) -> None:
        """Byte for byte, between two processes with different hash seeds, folders, homes, temporary folders and caches;
        the second read the files with their keys shuffled, in another style, and without one of the teams.
        """
        for one in synthesized:
            for path, content in one.files_elsewhere.items():
                assert one.files_here[path] == content, path

    def test_no_machine_is_named(self, synthesized: list[Synthesized]) -> None:
        for one in synthesized:
            for path, content in [*one.files_here.items(), *one.files_elsewhere.items()]:
                for secret in (str(one.here), str(one.elsewhere.parent.parent), str(Path.home() / ".cache")):
                    assert secret.encode() not in content, path

    def test_the_quick_checkers_find_nothing(self, synthesized: list[Synthesized]) -> None:
        """On all stacks: our own rules, and all other checkers but the slow ones."""
        quick = [checker for checker in all_checkers() if not checker.name.startswith(SLOW)]
        assert quick
        for one in synthesized:
            found = check([one.here], quick).findings
            # What is acknowledged of a checker that did not run is found by none.
            assert [str(finding) for finding in found if finding.rule != METADATA_KEY.replace(":", "-")] == []

    def test_the_gate_finds_nothing(self, synthesized: list[Synthesized], tmp_path: Path) -> None:
        """All checkers, on teams that between them have every shape of resource that occurs: those of one shape have the
        same properties, and differ in names and figures. On all stacks it would take minutes. A team that asks for a
        pack of compliance rules, or for a tier that its region does not have, is told so here; that is no fault.
        """
        report = check([_with_every_shape([one.here for one in synthesized], tmp_path)])
        assert [str(finding) for finding in report.findings if not finding.rule.startswith(ASKED_FOR)] == []


def _with_every_shape(assemblies: Sequence[Path], folder: Path) -> Path:
    """An assembly of few stages in which every shape of a resource occurs that occurs in the assemblies."""
    stages: dict[str, tuple[Any, set[str]]] = {}
    for assembly in assemblies:
        manifest = json.loads((assembly / "manifest.json").read_text())
        for name, artifact in manifest["artifacts"].items():
            if artifact["type"] == "cdk:cloud-assembly":
                stage = assembly / artifact["properties"]["directoryName"]
                artifact["properties"]["directoryName"] = str(stage.resolve())
                templates = [json.loads(path.read_text()) for path in sorted(stage.glob("*.template.json"))]
                stages[f"{assembly.name}-{name}"] = artifact, {one for body in templates for one in _shapes(body)}
    missing = set[str]().union(*(shapes for _, shapes in stages.values()))
    chosen = {}
    while missing:
        best = max(sorted(stages), key=lambda name: len(stages[name][1] & missing))
        chosen[best] = stages[best][0]
        missing -= stages[best][1]
    (folder / "manifest.json").write_text(json.dumps({"version": manifest["version"], "artifacts": chosen}))
    return folder


def _shapes(template: Mapping[str, Any]) -> Iterator[str]:
    """Each resource of a template as its type and the nested keys of its properties: no names, no figures, nothing twice."""
    ids = {logical_id for part in template.values() if isinstance(part, dict) for logical_id in part}

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return sorted([("an id" if key in ids else key), bare(one)] for key, one in value.items())
        if isinstance(value, list):
            return sorted({json.dumps(bare(one)) for one in value})
        return type(value).__name__

    for resource in template["Resources"].values():
        yield json.dumps([resource["Type"], bare(resource.get("Properties", {}))])
