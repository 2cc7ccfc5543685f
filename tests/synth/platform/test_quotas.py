"""One model a team, or fifty: no template, policy or name is larger than AWS takes, and no quota of the account breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk import App

from infra.app import settings
from labcycle.check.capacity import capacity
from labcycle.check.estate import Estate
from labcycle.check.rules import rule
from labcycle.check.template import templates_at
from labcycle.config import Member, Team
from labcycle.platform import TeamPlatform
from tests.synth.platform.test_inline_policies import TARGET, with_models


def readers(team: Team) -> Team:
    """The team with members who read, and so hold no policy for each model."""
    roles = (("ann", "stakeholder"), ("bob", "platform_engineer"))
    members = tuple(
        Member.model_validate({"name": name, "principal": {"iam_user": name}, "roles": [role]}) for name, role in roles
    )
    return team.model_copy(update={"members": members, "workspaces": None})


@pytest.mark.parametrize("models", [1, 50])
def test_a_team_with_so_many_models_is_within_the_quotas(models: int, tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path), context=settings(), analytics_reporting=False)
    TeamPlatform(app, team=readers(with_models(models)), target=TARGET)
    app.synth()
    estate = Estate(templates_at(tmp_path))
    assert len(estate.templates) == 3 + models
    held = rule("template_within_quotas")
    assert [finding for template in estate.templates for finding in held.findings(template, estate)] == []
    assert [use.quota.name for use in capacity(estate) if use.breaks] == []
