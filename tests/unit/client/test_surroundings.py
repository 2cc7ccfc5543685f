from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from labcycle.client import surroundings as module
from labcycle.client.surroundings import lock, surroundings

CONDA_BUILDS = [
    "file:///croot/numpy_and_numpy_base_1682520569166/work",
    "file:///home/conda/feedstock_root/build_artifacts/numpy_1687808358489/work",
    "file:///tmp/build/80754af9/attrs_1642510447205/work",
    "file:///opt/conda/conda-bld/certifi_1655968806487/work/certifi",
]


class Installed:
    def __init__(self, name: str | None, number: str = "1", origin: object = None, installer: str = "pip") -> None:
        self.metadata = {"Name": name}
        self.version = number
        self._origin, self._installer = origin, installer

    def read_text(self, name: str) -> str | None:
        if name == "INSTALLER":
            return f"{self._installer}\n"
        assert name == "direct_url.json"
        return self._origin if isinstance(self._origin, str) else json.dumps(self._origin) if self._origin else None


def test_the_lock_of_this_environment() -> None:
    lines = lock().splitlines()
    assert f"boto3=={version('boto3')}" in lines
    assert not [line for line in lines if line.startswith("labcycle")]  # installed from this folder: a comment


def test_where_packages_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    git = {"url": "https://ada:token@example.com/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    found = [
        Installed("Zope.Interface", "2"),
        Installed("zope-interface", "1"),
        Installed("mine", "3", {"url": "file:///home/ada/mine", "dir_info": {"editable": True}}),
        Installed("wheel-of", "4", {"url": "file:///tmp/a.whl", "archive_info": {}}),
        Installed("fetched", "5", {"url": "https://example.com/a.whl", "archive_info": {}}),
        Installed("cloned", "6", git),
        Installed("by-ssh", "8", {**git, "url": "ssh://git@example.com/x.git", "subdirectory": "a/b"}),
        Installed("signed", "9", {"url": "https://example.com/b.whl?token=x#sha256=0a", "archive_info": {}}),
        *(Installed(f"conda-{i}", "1", {"url": url, "dir_info": {}}) for i, url in enumerate(CONDA_BUILDS)),
        Installed("conda-9", "1", {"url": "file:///work/ci_py311/numpy", "dir_info": {}}, "conda"),
        Installed("odd", "7", "{"),
        Installed(None),
    ]
    monkeypatch.setattr(module, "distributions", lambda: found)
    assert lock().splitlines() == [
        "by-ssh @ git+ssh://git@example.com/x.git@abc#subdirectory=a/b",
        "cloned @ git+https://example.com/x.git@abc",
        *(f"conda-{i}==1" for i in range(len(CONDA_BUILDS))),
        "conda-9==1",
        "fetched @ https://example.com/a.whl",
        "# mine==3 was installed from a folder or file",
        "odd==7",
        "signed @ https://example.com/b.whl",
        "# wheel-of==4 was installed from a folder or file",
        "Zope.Interface==2",
    ]


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What ECS tells a container of itself."""
    said: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{server.server_address[1]}/v4/x")
    yield said
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_image_of_a_container(container: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    assert surroundings()["image"] == ""  # an answer without an image
    container |= {"Image": "registry/training:1", "ImageID": "sha256:0a"}
    assert surroundings()["image"] == "registry/training:1@sha256:0a"
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:9/")
    assert surroundings()["image"] == ""
    monkeypatch.setenv("LABCYCLE_IMAGE", "training@sha256:0b")
    assert surroundings()["image"] == "training@sha256:0b"


def test_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert surroundings()["gpus"] == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA L4, 550.1, 23034 MiB'\n")
    tool.chmod(0o755)
    assert surroundings()["gpus"] == ["NVIDIA L4, 550.1, 23034 MiB"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert surroundings()["gpus"] == []
