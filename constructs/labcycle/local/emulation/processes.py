"""Processes that stand for what a service runs."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import Any


def end(process: subprocess.Popen[Any] | None, seconds: float) -> None:
    """Ask a process to end, where it runs, and end it if it has not after `seconds`. It does not wait."""
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
