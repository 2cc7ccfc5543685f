"""The diff of a checkout, against real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labcycle.client import uncommitted as module
from labcycle.client.uncommitted import GitFailed, find_checkout, looks_secret, uncommitted


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One commit: train.py and the binary file weights.bin; *.csv is ignored."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "größer kleiner"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "train.py").write_text("print(1)\n")
    (root / "weights.bin").write_bytes(bytes(range(256)))
    (root / ".gitignore").write_text("*.csv\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def taken(root: Path) -> tuple[str, tuple[str, ...]]:
    checkout = find_checkout(root)
    assert checkout
    found = uncommitted(checkout)
    return found.diff.decode(), found.left_out


def test_what_a_checkout_is(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://ada:token@example.com/x.git")
    (repository / "sub").mkdir()
    found = find_checkout(repository / "sub")
    assert found is not None
    assert (found.root, found.branch, found.remote) == (repository, "main", "https://example.com/x.git")
    assert found.commit == git(repository, "rev-parse", "HEAD").strip()
    git(repository, "remote", "set-url", "origin", "ssh://git@example.com/x.git")
    by_ssh = find_checkout(repository)
    assert by_ssh and by_ssh.remote == "ssh://git@example.com/x.git"
    git(repository, "checkout", "--quiet", "--detach")
    detached = find_checkout(repository)
    assert detached and (detached.commit, detached.branch) == (found.commit, "")


def test_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find_checkout(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    empty = find_checkout(tmp_path)
    assert empty and empty.commit == ""


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PATH", "", "git is not installed"),
        ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1", "dubious ownership"),  # as root over a mounted checkout
        ("GIT_DIR", "gone", "not a git repository: 'gone'"),
    ],
)
def test_where_git_does_not_tell_it_says_why(
    repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(GitFailed, match=says):
        find_checkout(repository)


def test_a_clean_checkout_has_no_diff(repository: Path) -> None:
    assert taken(repository) == ("", ())


def test_the_diff_makes_a_fresh_clone_the_same(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("print(2)\n")
    (repository / "weights.bin").write_bytes(bytes(reversed(range(256))))
    (repository / "neu 1.py").write_text("ü\n")
    (repository / "staged.py").write_text("staged\n")
    (repository / "data.csv").write_text("ignored\n")
    git(repository, "add", "staged.py")
    before = git(repository, "status", "--porcelain")
    diff, left_out = taken(repository)
    assert (git(repository, "status", "--porcelain"), left_out) == (before, ())
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    (tmp_path / "d.diff").write_text(diff)
    git(clone, "apply", str(tmp_path / "d.diff"))
    for name in ("train.py", "weights.bin", "neu 1.py", "staged.py"):
        assert (clone / name).read_bytes() == (repository / name).read_bytes()
    assert not (clone / "data.csv").exists()


def test_a_deleted_file_and_a_users_own_settings(repository: Path) -> None:
    git(repository, "config", "diff.noprefix", "true")
    git(repository, "config", "diff.external", "false")
    git(repository, "config", "color.ui", "always")
    (repository / "train.py").unlink()
    diff, _ = taken(repository)
    assert diff.startswith("diff --git a/train.py b/train.py\ndeleted file")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (".env", "A=1", "its name says"),
        (".envrc", "hidden words", "its name says"),
        ("deploy.pem", "hidden words", "its name says"),
        ("conf/Secrets.yaml", "hidden words", "its name says"),
        ("a.py", "key = 'AKIA" + "A" * 16 + "'", "looks like a secret"),
        ("a.py", "-----BEGIN RSA PRIVATE KEY-----", "looks like a secret"),
        ("a.py", "password = 'correct-horse'", "looks like a secret"),
        ("a.ipynb", r'"password = \"hunter2hunter2\"\n"', "looks like a secret"),
        ("a.bin", "x" * 1_000_001, "1.0 MB, more than 1 MB"),
    ],
)
def test_what_is_never_taken(repository: Path, name: str, content: str, why: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text(content)
    (repository / "train.py").write_text("print(2)\n")
    diff, left_out = taken(repository)
    assert "train.py" in diff
    assert content[:20] not in diff
    assert len(left_out) == 1
    assert left_out[0].startswith(name) and why in left_out[0]


KEY = "sk-proj-" + "aB3dE6gH9" * 5
SECRETS = [
    f"llm = Client({KEY!r})",
    "hf_" + "aB3" * 12,
    "ghp_" + "a" * 36,
    "github_pat_" + "aB3" * 12,
    "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + ".c",
    "connect('postgres://ada:pw@host/db')",
    "redis://:pw@host",
    "host=h password=hunter2hunter2 user=u",
    'os.environ["MY_API_KEY"] = "correct-horse"',
    r'"os.environ[\"MY_TOKEN\"] = \"correct-horse\"\n",',
    r'"%env MY_TOKEN=hunter2hunter2\n",',
    'password: str = "correct-horse"',
    'password: str | None = "correct-horse"',
    "password = b'correct-horse'",
    "{'api-key': 'correct-horse'}",
    "SECRET_KEY = 'django-insecure'",
    "  db_password: hunter2hunter2  # of the test",
    "export DB_PASSWORD=hunter2hunter2",
    "MY_SECRET=hunter2hunter2 python train.py",
]
NO_SECRETS = [
    "token = tokenizer.encode(text)",
    "token = config.token_2024",
    "password=os.environ['DB_PASSWORD'],",
    "api_key=os.getenv('API_KEY', 'default-value-1'),",
    "client(api_key=anthropic_api_key2)",
    "token = vocabulary_of_words",
    "token = vectors[index12345]",
    "if not token:\n    word2vec_model",
    "if token == other_token12:",
    "secret: str",
    "token: dict[str, Int64Array]",
    "max_tokens = 1234567890",
    "price_per_token = 0.00000015",
    "tokenizer=bert_base_v2_uncased",
    "pad_token='<|endoftext|>'",
    "hf_model_for_sequence_classification_1",
    "secret: /run/secrets/token1234",
    "TOKEN=$(cat /run/token1234)",
    "TOKEN=${TOKEN12345}",
    "token: ${{ secrets.TOKEN1234 }}",
    "f'postgres://{user}:{password}@host'",
    "'postgres://%s:%s@host'",
    "ssh://git@host:22/x",
    "http://localhost:8000/x@y",
    "<div class='sk-estimator-doc-link sk-toggleable__content'>",
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret(text: str) -> None:
    assert looks_secret(text.encode())


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_looks_like_none(text: str) -> None:
    assert not looks_secret(text.encode())


def test_a_committed_secret_file_that_changed_is_left_out(repository: Path) -> None:
    (repository / ".env").write_text("A=1\n")
    git(repository, "add", ".env")
    git(repository, "commit", "--quiet", "-m", "oops")
    (repository / ".env").write_text("A=2\n")
    assert taken(repository) == ("", (".env (its name says that it holds secrets)",))


def test_too_much_is_left_out_and_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (repository / f"{number}.py").write_text("x" * 300)
    monkeypatch.setattr(module, "DIFF_BYTES", 1_200)
    diff, left_out = taken(repository)
    assert ("0.py" in diff, "3.py" in diff) == (True, False)
    assert any("3.py (its changes take" in said for said in left_out)
    monkeypatch.setattr(module, "MOST_FILES", 2)
    assert "2 more new files" in taken(repository)[1]


def test_submodules_and_nested_repositories_are_named(repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    git(tmp_path, "clone", "--quiet", str(repository), str(library))
    git(repository, "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "--quiet", "-m", "library")
    (repository / "lib" / "train.py").write_text("changed\n")
    git(repository, "clone", "--quiet", str(library), "nested")
    (repository / "train.py").write_text("print(2)\n")
    diff, left_out = taken(repository)
    assert diff.count("diff --git") == 1
    assert left_out == ("nested/ (a repository of its own)", "lib (a submodule)")


def test_git_that_fails_says_why(repository: Path) -> None:
    with pytest.raises(GitFailed, match="not a git repository"):
        module.git(repository.parent, "status")
