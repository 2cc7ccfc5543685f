"""cdk-nag: rule packs of best practice (always) and of compliance (where the template asks for them)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.template import Template
from labcycle.config import names

from .program import answer_of, has_node

COMPLIANCE_KEY = names.COMPLIANCE_METADATA
ALWAYS = ("aws-solutions", "serverless")
ON_DEMAND = ("hipaa", "nist-800-53", "pci")


class CdkNag:
    """Runs `labcycle.nag` once for all templates: it needs the CDK, and with it Node, which take 3 s to start."""

    by_shape = True

    def __init__(self) -> None:
        for package in ("cdk_nag", "aws_cdk"):
            if importlib.util.find_spec(package) is None:
                raise ImportError(f"there is no {package}", name=package)
        if not has_node():
            raise CheckError(
                "CdkNag needs Node, the program `node` on the PATH or what JSII_NODE names. "
                "Install it with: pip install 'labcycle[check]'"
            )
        self.name = f"cdk-nag {importlib.metadata.version('cdk-nag')}"

    def check(self, templates: Sequence[Template], estate: Estate) -> Iterator[Finding]:
        """Findings of every pack that is held against a template.

        A rule that could not be evaluated on a resource is the finding `CdkNagValidationFailure[RULE]`, and a resource that
        cdk-nag cannot read is `CdkNagValidationFailure[CfnInclude]`.

        Raises
        ------
        CheckError
            If the program fails, or a template cannot be read at all.
        """
        if not templates:
            return
        request = [{"body": template.body, "packs": _packs(template)} for template in templates]
        answers = answer_of("labcycle.nag", request)
        for template, answer in zip(templates, answers, strict=True):
            if answer["refused"]:
                raise CheckError(f"{template.name}: it cannot read the template: {answer['refused']}")
            for one in answer["findings"]:
                message, _, why = one["message"].partition(". ")  # cdk-nag says what is wrong in one sentence, then why
                yield template.finding(
                    one["logical_id"], one["rule"], "cdk-nag", one["level"], message.removesuffix("."), why=why
                )


def _packs(template: Template) -> list[str]:
    metadata = template.body.get("Metadata")
    asked = metadata.get(COMPLIANCE_KEY, []) if isinstance(metadata, dict) else []
    if not isinstance(asked, list) or not set(map(str, asked)) <= set(ON_DEMAND):
        raise CheckError(
            f"{template.name}: Metadata.{COMPLIANCE_KEY}: got {asked!r}; allowed a list of {', '.join(ON_DEMAND)}"
        )
    return [*ALWAYS, *(pack for pack in ON_DEMAND if pack in asked)]
