"""Read a request of templates as JSON from stdin, write what cdk-nag finds in them as JSON to stdout.

```json
[{"body": {"Resources": {}}, "packs": ["aws-solutions"]}]
```
The answer has one entry for each template, in this order: `{"findings": [{logical_id, rule, level, message}], "refused": ""}`,
where `refused` says why a template could not be read at all.
"""

from __future__ import annotations

import json
import sys

from .packs import examine

json.dump(examine(json.load(sys.stdin)), sys.stdout)
