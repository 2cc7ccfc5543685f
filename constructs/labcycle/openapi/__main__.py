"""Print the document: `python -m labcycle.openapi > docs/openapi.json`."""

from __future__ import annotations

import json

from labcycle.openapi.document import document

if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
