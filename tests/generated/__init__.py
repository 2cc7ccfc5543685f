"""Generated team and target files: the whole model, with boundary values; and each way to break one."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.generated.valid_files")
