"""Our evaluator against an independent one, over thousands of generated requests."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from labcycle.check.iam import Outcome, PolicyError, decide
from tests.unit.check.iam.oracle import FOLDER, Case, answers, cases

SAME = {
    "Allowed": Outcome.ALLOWED,
    "ImplicitlyDenied": Outcome.IMPLICIT_DENY,
    "ExplicitlyDenied": Outcome.EXPLICIT_DENY,
}
COUNT = 6000


def known_difference(case: Case) -> str:
    """Why the two may differ on a case; empty where they must not.

    AWS says that a negated operator holds where a variable of its value has none, while the other evaluator lets it fail;
    of NotResource with such a variable AWS says nothing, so that ours refuses.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
    A denial by NotPrincipal that names only a part of the caller's account, role and session may hit the caller, AWS says:
    ours refuses, the other spares.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    text = str(case.documents)
    if "'NotPrincipal'" in text:
        return "NotPrincipal that names a part of the caller"
    if "aws:PrincipalTag/team" in case.request.context:
        return ""
    variable = r"[^]}]*\$\{aws:PrincipalTag/team\}"
    if re.search(r"'StringNotEquals': \{" + variable, text):
        return "negated operator, variable without value"
    if re.search("'NotResource': " + variable, text):
        return "NotResource, variable without value"
    return ""


@pytest.mark.skipif(
    not (FOLDER / "node_modules").exists(), reason="the independent evaluator is not installed: make oracle"
)
def test_decisions_are_those_of_an_independent_evaluator() -> None:
    asked = list(cases(COUNT, seed=20260131))
    outcomes: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    unexplained = []
    for case, answer in zip(asked, answers(asked), strict=True):
        assert "errors" not in answer, answer
        assert answer["ignored"] == []
        outcomes[answer["outcome"]] += 1
        try:
            same = decide(case.request, case.policies).outcome is SAME[answer["outcome"]]
        except PolicyError:
            same = False
        if not same:
            differing[known_difference(case)] += 1
            unexplained += [] if known_difference(case) else [(case, answer)]
    assert unexplained == []
    assert min(outcomes.values()) > COUNT / 10, f"not every outcome was tried often: {outcomes}"
    assert differing.total() < COUNT / 200, f"differences are rare: {differing}"
