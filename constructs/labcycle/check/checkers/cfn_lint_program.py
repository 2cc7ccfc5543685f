"""Read templates (name, text, region, file) as JSON from stdin, write what cfn-lint finds in them as JSON to stdout."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError
from labcycle.check.template import Template

from .cfn_lint import CfnLint
from .checker import OneByOne

if __name__ == "__main__":
    templates = [Template(**one | {"file": Path(one["file"])}) for one in json.load(sys.stdin)]
    try:
        found = [asdict(finding) for finding in OneByOne.check(CfnLint(), templates, Estate(templates))]
    except CheckError as error:
        sys.exit(str(error))
    json.dump(found, sys.stdout)
