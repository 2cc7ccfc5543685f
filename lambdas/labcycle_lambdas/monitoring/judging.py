"""What each subject that is watched is judged by, at which moment, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from labcycle_lambdas.ledger.deployed import Deployed
from labcycle_lambdas.ledger.deployments import Deployment
from labcycle_lambdas.ledger.evaluations import SubjectState
from labcycle_lambdas.ledger.judgement import Judgement, Subject


@dataclass(frozen=True)
class Moment:
    """The time of an evaluation, and what is deployed then; `has_time` tells whether the function has time for some more."""

    at: datetime
    deployment: Deployment
    has_time: Callable[[], bool] = lambda: True

    @property
    def live(self) -> Deployed | None:
        return self.deployment.live


@dataclass(frozen=True)
class Judged:
    """A judgement with the state that it leaves. `more` goes into the evaluation beside the judgements, `told` into the custody
    event with which an episode begins."""

    judgement: Judgement
    state: SubjectState
    more: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Judges one subject; it writes nothing that a repeat could not write again."""

    @property
    def subject(self) -> Subject: ...

    def judge(self, moment: Moment, before: SubjectState) -> Judged:
        """What it raises is told in the evaluation, and the state of its subject stays as it was."""
        ...
