"""What a git checkout holds that no commit does, as one diff. Nothing in the checkout is changed, its index included.

Never taken: what .gitignore names, files that look like they hold secrets, large files, and what is inside of submodules
and nested repositories. What was left out is said.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from labcycle.client.surroundings import without_credentials

FILE_BYTES = 1_000_000
DIFF_BYTES = 10_000_000
MOST_FILES = 1_000
_TIMEOUT_SECONDS = 60
_SECRET_NAMES = (
    *(".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa*", "id_ed25519*", "id_ecdsa*"),
    *(".envrc", ".netrc", ".npmrc", ".pypirc", ".git-credentials", "credentials", "credentials.*", "*secret*"),
)
_SECRET_TEXTS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY"
    rb"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22}"
    rb"|\bhf_[A-Za-z0-9]{30}"
    rb"|\bsk-(?=[A-Za-z_-]*\d)[\w-]{20}"  # with a digit: names of styles begin so, too
    rb"|\bxox[abprs]-[A-Za-z0-9-]{10}"
    rb"|\beyJ[\w-]{10,}\.eyJ[\w-]{10}"  # a JWT
    rb"|://[^\s/:@\"'{]*:(?![{$<*%])[^\s/@\"']+@"
    rb"|(?i:aws_secret_access_key|aws_session_token)[\"']?\s*[=:]\s*\S"
    # A name, closing quotes and brackets; in a notebook each quote has a backslash.
    rb"|(?i:password|passwd|secret(?:_?key)?|token|api[_-]?key)[\"'\]\\]*[ \t]*(?:"
    # A text, perhaps behind a type; what begins with < or a brace is a template or a model's special token.
    rb"(?::[ \t]*[\w.\[\], |]+)?[=:][ \t]*[bfruBFRU]{0,2}\\?[\"'](?![<{]|\$[{(])[^\"'\s\\]{8,}\\?[\"']"
    # Or without quotes, as in YAML and in a shell: with a digit, but no number, path, variable, or expression of a name.
    rb"|[=:][ \t]*(?![A-Za-z_]\w*\.|[\d._+*/-]+(?:[\s\"'\\]|$))(?=\S*\d)[\w+!@%^-][^\s\"'\\()\[\]{}<>$,;]{7,}(?:[\s\"'\\]|$))"
)
_SUBMODULE = "160000"
_IN_NONE = "not a git repository (or any"  # of the parent directories; with another ending, one that is broken


class GitFailed(Exception):
    """git is not there, or did not do it; the message is its own."""


@dataclass(frozen=True)
class Checkout:
    """`commit` is "" before the first one, `branch` where the head is detached, `remote` where there is none."""

    root: Path
    commit: str
    branch: str
    remote: str


@dataclass(frozen=True)
class Uncommitted:
    """`diff` is empty where all is committed; `left_out` holds a phrase a file, with the reason."""

    diff: bytes
    left_out: tuple[str, ...]


def find_checkout(folder: Path) -> Checkout | None:
    """The git checkout that `folder` is in, None where it is in none.

    Raises
    ------
    GitFailed
        If git is not there, or refuses: in a container, say, where the checkout is another user's.
    """
    try:
        root = Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    except GitFailed as error:
        if _IN_NONE in str(error):
            return None
        raise
    return Checkout(
        root,
        _told(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
        _told(root, "symbolic-ref", "--short", "--quiet", "HEAD"),
        without_credentials(_told(root, "remote", "get-url", "origin")),
    )


def uncommitted(checkout: Checkout) -> Uncommitted:
    """All that differs from the checkout's commit, new files included, as `git apply` takes it.

    Raises
    ------
    GitFailed
        If git did not tell, within a minute a call.
    """
    root = checkout.root
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        real = root / os.fsdecode(git(root, "rev-parse", "--git-path", "index").rstrip(b"\n"))
        if real.exists():
            shutil.copy2(real, index)  # with its time, by which git knows files that changed in the same tick
        apart = {"GIT_INDEX_FILE": str(index)}
        new, left_out = _new_files(root)
        if new:
            names = b"\0".join(os.fsencode(name) for name in new)
            add = ("add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul")
            git(root, *add, environment={**apart, "GIT_LITERAL_PATHSPECS": "1"}, given=names)
        skipped = _skipped(root, git(root, "diff", "HEAD", "--raw", "-z", "--no-renames", environment=apart))
        if len(skipped) > MOST_FILES:
            return Uncommitted(b"", (f"all changes: {len(skipped)} changed files cannot be taken",))
        left_out += [f"{name} ({why})" for name, why in skipped]
        diff = git(
            root,
            *(
                "diff",
                "HEAD",
                "--binary",
                "--full-index",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--no-renames",
            ),
            *("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=all", "--", "."),
            *(f":(top,exclude,literal){name}" for name, _ in skipped),
            environment=apart,
        )
    kept, dropped = _without_secrets(diff)
    return Uncommitted(kept, tuple(left_out + dropped))


def git(folder: Path, *arguments: str, environment: dict[str, str] | None = None, given: bytes = b"") -> bytes:
    """What git prints. Raises `GitFailed`."""
    variables = {
        **os.environ,
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        **(environment or {}),
    }
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(
            command, check=False, input=given, capture_output=True, env=variables, timeout=_TIMEOUT_SECONDS
        )
    except FileNotFoundError:
        raise GitFailed("git is not installed") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise GitFailed(f"git {arguments[0]}: {error}") from None
    if done.returncode:
        raise GitFailed(done.stderr.decode(errors="replace").strip()[:1000] or f"git {arguments[0]} failed")
    return done.stdout


def is_commit(text: str | None) -> bool:
    """Whether it is a full commit id, and so no option of git."""
    return bool(text and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", text))


def looks_secret(text: bytes) -> bool:
    """Whether a part of it has the form of a secret. No form finds them all."""
    return bool(_SECRET_TEXTS.search(text))


def _new_files(root: Path) -> tuple[list[str], list[str]]:
    """Files that git does not know and does not ignore: those to take, and those left out."""
    listed = git(root, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    names = [os.fsdecode(name) for name in listed if name]
    take, left_out = [], []
    for name in names[:MOST_FILES]:
        if name.endswith("/"):
            left_out.append(f"{name} (a repository of its own)")
        elif why := _why_not(root, name):
            left_out.append(f"{name} ({why})")
        else:
            take.append(name)
    if len(names) > MOST_FILES:
        left_out.append(f"{len(names) - MOST_FILES} more new files")
    return take, left_out


def _skipped(root: Path, raw: bytes) -> list[tuple[str, str]]:
    """Name and reason of each changed file that is not taken, out of `git diff --raw -z`."""
    fields = raw.split(b"\0")
    found = []
    for header, name in zip(fields[::2], fields[1::2], strict=False):
        modes, path = header.decode().lstrip(":").split(" ")[:2], os.fsdecode(name)
        if _SUBMODULE in modes:
            found.append((path, "a submodule"))
        elif why := _why_not(root, path):
            found.append((path, why))
    return found


def _why_not(root: Path, name: str) -> str:
    if any(fnmatch(PurePosixPath(name).name.lower(), pattern) for pattern in _SECRET_NAMES):
        return "its name says that it holds secrets"
    path = root / name
    size = path.lstat().st_size if os.path.lexists(path) else 0
    return f"{size / 1e6:.1f} MB, more than {FILE_BYTES / 1e6:.0f} MB" if size > FILE_BYTES else ""


def _without_secrets(diff: bytes) -> tuple[bytes, list[str]]:
    """The diff without the files that look like they hold secrets, or make it too large; and what was left out."""
    kept: list[bytes] = []
    left_out, size = [], 0
    for section in re.split(rb"^(?=diff --git )", diff, flags=re.MULTILINE):
        name = section.partition(b"\n")[0].rpartition(b" b/")[2].decode(errors="replace")
        if looks_secret(section):
            left_out.append(f"{name} (a line of it looks like a secret)")
        elif len(section) > FILE_BYTES * 2 or size + len(section) > DIFF_BYTES:
            left_out.append(f"{name} (its changes take {len(section) / 1e6:.1f} MB)")
        else:
            kept.append(section)
            size += len(section)
    return b"".join(kept), left_out


def _told(root: Path, *arguments: str) -> str:
    try:
        return git(root, *arguments).decode(errors="replace").strip()
    except GitFailed:
        return ""


def short(names: Sequence[str], most: int = 10) -> str:
    """As one text for people."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
