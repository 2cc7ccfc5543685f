"""A team's tracking API alone, for those who come with tokens: one stack, no roles of members."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk

from infra.app import settings
from labcycle.config import Issuer
from labcycle.tracking import Access, ExperimentTracking

ACCOUNT, REGION, TEAM = "210987654321", "eu-central-1", "lab"
ISSUER = Issuer(name="company", url="https://login.example.com/tenant", audience="labcycle")
RIGHTS = {"ada": ("read", "log", "register"), "bob": ("read", "promote")}


class Tracking(cdk.Stack):
    def __init__(self, scope: cdk.App) -> None:
        super().__init__(scope, "tracking", env=cdk.Environment(account=ACCOUNT, region=REGION))
        subjects = {ISSUER.url: {"subject-of-ada": "ada", "subject-of-bob": "bob"}}
        access = Access(RIGHTS, (ISSUER,), subjects)
        tracking = ExperimentTracking(self, "Tracking", team=TEAM, retain_data=False, access=access)
        cdk.CfnOutput(self, "Url", value=tracking.token_doors[ISSUER.name].url)
        cdk.CfnOutput(self, "SignedUrl", value=tracking.url)


def build(out: Path) -> Path:
    """Synthesize into `out`."""
    app = cdk.App(outdir=str(out), analytics_reporting=False, context=settings())
    Tracking(app)
    return Path(app.synth().directory)
