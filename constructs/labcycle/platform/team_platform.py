"""A team's whole life cycle of data science, as a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from aws_cdk import Environment, PermissionsBoundary, Stack, Stage, Tags
from constructs import Construct

from labcycle.config import ConfigError, Target, Team, check_together, names
from labcycle.platform.compute_stack import ComputeStack
from labcycle.platform.foundation_stack import FoundationStack
from labcycle.platform.guardrails_stack import GuardrailsStack
from labcycle.platform.inline_policies import problems_of_size
from labcycle.platform.model_stack import ModelStack
from labcycle.platform.target_platform import give_zones, use_bootstrap
from labcycle.platform.tracking_stack import TrackingStack
from labcycle.platform.workspaces_stack import WorkspacesStack


class TeamPlatform(Stage):
    """The stage `labcycle-<team>`: guardrails, foundation, tracking, workspaces and compute if there are any, and a stack a model.

    Every role carries the boundary of the guardrails, every resource that can the team's tags, and those of a model its
    name too. Every template names the rule packs that it is checked against. Stacks find each other
    by contract names, the team's key apart. The target's network is read from SSM parameters when a stack is created
    or updated: deploy the `TargetPlatform` first.

    Parameters
    ----------
    team
        The team file.
    target
        The target that the team names.

    Raises
    ------
    ConfigError
        If the team cannot live in the target, or asks of a construct what it does not take, or a member's role would hold
        more policies than IAM allows.
    """

    def __init__(self, scope: Construct, *, team: Team, target: Target) -> None:
        check_together(team, target)
        super().__init__(
            scope,
            names.team_stage(team.team),
            env=Environment(account=target.account, region=target.region),
            permissions_boundary=PermissionsBoundary.from_name(names.boundary(team.team)),
        )
        give_zones(self, target)
        use_bootstrap(self, target)
        self.guardrails = GuardrailsStack(self, team=team)
        with _told(team, "members"):
            self.foundation = FoundationStack(self, team=team, target=target)
        key = self.foundation.foundation.key
        with _told(team, "tracking"):
            self.tracking = TrackingStack(self, team=team, target=target, key=key)
        self.workspaces: WorkspacesStack | None = None
        if team.workspaces:
            with _told(team, "workspaces"):
                self.workspaces = WorkspacesStack(
                    self, team=team, target=target, key=key, tracking=self.tracking.tracking
                )
        self.compute: ComputeStack | None = None
        if team.compute:
            with _told(team, "compute"):
                self.compute = ComputeStack(self, team=team, target=target, key=key, tracking=self.tracking.tracking)
        self.models: dict[str, ModelStack] = {}
        for n, model in enumerate(team.models):
            with _told(team, "models", n):
                self.models[model.name] = ModelStack(self, team=team, target=target, model=model, key=key)
        self._in_order()
        stacks = [*self.shared_stacks, *self.models.values()]
        if problems := list(problems_of_size(team, stacks)):
            raise ConfigError(problems)
        for tag, value in (("team", team.team), ("cost-centre", team.cost_centre), ("stage", team.stage)):
            Tags.of(self).add(f"labcycle:{tag}", value)
        for stack in stacks if team.compliance else ():
            stack.template_options.metadata = {names.COMPLIANCE_METADATA: list(team.compliance)}

    @property
    def shared_stacks(self) -> list[Stack]:
        """All stacks but those of the models, in the order in which they are deployed."""
        shared: list[Stack] = [self.guardrails, self.foundation, self.tracking]
        return [*shared, *(stack for stack in (self.workspaces, self.compute) if stack)]

    def _in_order(self) -> None:
        """Boundary before roles; then what is named before those that look it up by name."""
        base = self.shared_stacks
        for earlier, later in pairwise(base):
            later.add_stack_dependency(earlier)
        for model in self.models.values():
            model.add_stack_dependency(base[-1])


@contextmanager
def _told(team: Team, *path: str | int) -> Iterator[None]:
    """What a construct does not take is told with its place in the team file."""
    try:
        yield
    except ValueError as error:
        raise ConfigError([team.origin.problem(path, str(error))]) from error
