"""What is refused before anything is started, and that only our own processes are ever ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from labcycle.local import process
from labcycle.local.settings import START_ID, Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def begin(folder: Path, port: int) -> process.Started:
    return process.start(port=port, account="123456789012", region="eu-west-1", folder=folder)


def settings(folder: Path, start_id: str) -> Settings:
    return Settings(1, "123456789012", "eu-west-1", start_id, str(folder))


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_number_that_is_no_port_is_refused_at_once(tmp_path: Path, port: int) -> None:
    with pytest.raises(process.LocalCloudError, match=rf"--port: got {port}; allowed 1024 to 65535"):
        begin(tmp_path, port)


def test_a_taken_port_is_refused_and_nothing_is_left(tmp_path: Path, taken: int) -> None:
    with pytest.raises(process.LocalCloudError, match=rf"Port {taken} .*--port"):
        begin(tmp_path, taken)
    assert not (tmp_path / process.STATE_FILE).exists()
    assert process.find(tmp_path) is None


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1024**3))
    with pytest.raises(process.LocalCloudError, match=r"Only 1\.0 GiB are free"):
        begin(tmp_path, 1)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(process.LocalCloudError, match="cannot be written"):
        begin(tmp_path / "file" / "folder", 1)


def test_a_state_whose_process_is_gone_is_stale(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stale = process.Running(settings(tmp_path, "gone"), ended.pid, "1")
    (tmp_path / process.STATE_FILE).write_text(stale.to_text())
    assert process.find(tmp_path) is None
    assert process.stop(tmp_path) is False
    assert not (tmp_path / process.STATE_FILE).exists()


def test_a_process_that_took_over_the_number_is_never_touched(tmp_path: Path) -> None:
    """The recorded number is ours, but the process behind it began at another time: it is somebody else's."""
    other = process.Running(settings(tmp_path, "never-used"), os.getpid(), "1")
    (tmp_path / process.STATE_FILE).write_text(other.to_text())
    assert process.find(tmp_path) is None
    assert process.stop(tmp_path) is False


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_what_a_dead_server_left_behind_is_ended_by_its_start_id(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    ours = subprocess.Popen(sleep, env={**os.environ, START_ID: "ours"}, stdout=subprocess.PIPE)
    foreign = subprocess.Popen(sleep, env={**os.environ, START_ID: "foreign"}, stdout=subprocess.PIPE)
    try:
        for child in (ours, foreign):
            assert child.stdout is not None
            child.stdout.readline()
        (tmp_path / process.STATE_FILE).write_text(process.Running(settings(tmp_path, "ours"), 2**22, "1").to_text())
        assert process.stop(tmp_path) is True
        assert ours.wait(timeout=10) == -9
        assert foreign.poll() is None
    finally:
        for child in (ours, foreign):
            child.kill()
            child.wait()


def test_a_half_written_state_is_no_server(tmp_path: Path) -> None:
    (tmp_path / process.STATE_FILE).write_text('{"pid": ')
    assert process.find(tmp_path) is None
