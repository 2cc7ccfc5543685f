"""Small pools of names and values, so that collisions happen; and what is wrong in each place."""

from __future__ import annotations

from typing import Any

KEYS = ("k", "K", "a/b", "über", "sp ace", "x.y", "m-1", "k2")
BAD_KEYS: tuple[Any, ...] = (
    "",
    "a//b",
    "./x",
    "/abs",
    "..",
    "../x",
    "a/../b",
    ".",
    "a$b",
    "emoji😀",
    "x" * 251,
    "labcycle.x",
    5,
    None,
    ["k"],
    True,
)
TAG_KEYS = ("k", "K", "a/b", "über", "mlflow.note.content", "mlflow.source.name", "k2")
METRIC_VALUES: tuple[Any, ...] = (
    0,
    1,
    1.0,
    -1,
    2.5,
    "NaN",
    "Infinity",
    "-Infinity",
    1e308,
    -0.0,
    "1e3",
    True,
    5e-324,
    2**53,
    "12",
    3,
    4,
)
BAD_METRIC_VALUES: tuple[Any, ...] = ("abc", None, [], {}, "0x1", "", "1_0", "inf", "nan", " 1")
STEPS: tuple[Any, ...] = (0, 0, 1, 1, 2, 3, -1, 2**63 - 1, -(2**63), "3", 2.0)
BAD_STEPS: tuple[Any, ...] = (1.5, 2**63, "x", [], {}, True, "1.5")
TIMESTAMPS: tuple[Any, ...] = (0, 1, 1, 2, 1000, 2**63 - 1, "12")
BAD_TIMESTAMPS: tuple[Any, ...] = (-1, 1.5, None, "x", 2**63, -(2**63), [])
VALUES: tuple[Any, ...] = ("1", "2", "a", "", "x" * 6000, "x" * 6001, "ü", "it's", '"q"', "A_b%", "a\nb", "b", None)
TAG_VALUES: tuple[Any, ...] = ("1", "a", "", "x" * 8001, "äBC", "it's", "A%", "a\nb", "b")
BAD_VALUES: tuple[Any, ...] = (5, 1.5, True, [], {}, ["a"])
EXPERIMENT_NAMES = ("e1", "e2", "e3", "E1", "ünï/x", "Default", "x" * 500, " e1 ")
BAD_NAMES: tuple[Any, ...] = ("", "x" * 501, 5, None, [], True)
RUN_NAMES = ("r1", "R1", "rün", "a", "")
MODEL_NAMES = ("m1", "m2", "M1", "möd el", "a.b")
BAD_MODEL_NAMES: tuple[Any, ...] = ("", " ", "a/b", "a:b", ".", "..", 5, None, [])
LOGGED_NAMES = ("model", "lm", "modël", "a b")
BAD_LOGGED_NAMES: tuple[Any, ...] = ("", "a/b", "a:b", "a.b", "a%", 'q"', "it's", 5)
ALIASES = ("champion", "prod", "Champion", "a-b_1", "ü")
BAD_ALIASES: tuple[Any, ...] = ("", "latest", "LATEST", "v1", "V22", "a b", "a/b", "x" * 256, 5, None)
STAGES = ("None", "Staging", "Production", "Archived", "production", "STAGING", "archived")
BAD_STAGES: tuple[Any, ...] = ("foo", "", 5, None)
VERSIONS: tuple[Any, ...] = ("1", "1", "2", "3")
BAD_VERSIONS: tuple[Any, ...] = ("abc", "", "0", "-1", "99", "1.5", None, "1" * 12, [], 1)
LOCATIONS = ("file:///x", "s3://other/x", "runs:/x", "s3://labcycle-fraud-artifacts/experiments/a/../b", "nope", 5)
DESCRIPTIONS = ("", "text", "ü\nb", "x" * 5000)
STATUSES: tuple[Any, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED", 1, 3, 4)
BAD_STATUSES: tuple[Any, ...] = ("NOPE", 0, 9, -1, "finished", [], 1.5, "3")
IDS: tuple[Any, ...] = ("f" * 32, "", "nope", "a b", "../x", 5, None, "x" * 300)
EXPERIMENT_IDS: tuple[Any, ...] = ("987654321", "abc", "", 5, None, "-1", "1.5", "0 ", "00", [])
DATASETS = ("d1", "d2", "dä")
DIGESTS = ("abc", "def", "")
CONTEXTS = ("train", "eval", "")
SOUGHT = (
    "1",
    "2",
    "a",
    "b",
    "A%",
    "%b",
    "a_b",
    "_",
    "%",
    "",
    "ü",
    "äbc",
    "Äbc",
    "it's",
    "e%",
    "E1",
    "m1",
    "model",
    "r%",
    "train",
    "d1",
    "x\\",
    "runs:/%",
)
PAGE_TOKENS: tuple[Any, ...] = (
    "nonsense",
    "!!",
    "e30=",
    "eyJvZmZzZXQiOiAwfQ==",
    "eyJvZmZzZXQiOiAtMX0=",
    "eyJvZmZzZXQiOiAiMSJ9",
    "bm8=",
    5,
)
MAX_RESULTS: tuple[Any, ...] = (0, -1, 50_001, 1_000_000, "x", 1.5, None, 2**31)
