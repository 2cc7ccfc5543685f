"""Writes docs/permissions.md anew."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("CDK_VALIDATION", "false")

from tests.cloud.permissions import everybody
from tests.cloud.permissions.exceptions import EXCEPTIONS
from tests.cloud.permissions.page import PAGE, page, placeholders
from tests.cloud.permissions.rights import compare

with tempfile.TemporaryDirectory() as folder, everybody.alone(Path(folder)) as team:
    everybody.live(team)
    roles = everybody.roles(team)
    PAGE.write_text(page(roles, compare(roles, team.cloud.guard.used, EXCEPTIONS), placeholders(team, roles)))
