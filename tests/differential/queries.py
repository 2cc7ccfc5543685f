"""Filters and orders of every search, from MLflow's grammar, illegal ones among them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.differential import values

_TEXT = ("=", "!=", "LIKE", "ILIKE", "like", "ilike")
_NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
_MEMBER = ("IN", "NOT IN", "in", "not in")
_NULL = ("IS NULL", "IS NOT NULL", "is null", "Is Not Null")
_BAD_OPERATORS = ("<>", "==", "NOT LIKE", "BETWEEN", "=>", "~", "IS", "")
_NUMBERS = ("0", "1", "2.5", "-1", "1e-3", ".5", "1.", "1e400", "1000")
_BAD_NUMBERS = ("+1", "0x1", "1_000", "NaN", "'1'", "abc", "--1")


@dataclass(frozen=True)
class Kind:
    """What one search can be asked: attributes that are text or numbers, and the prefixes of the rest."""

    texts: Sequence[str]
    numbers: Sequence[str]
    attribute_prefixes: Sequence[str]
    metric_prefixes: Sequence[str] = ()
    param_prefixes: Sequence[str] = ()
    tag_prefixes: Sequence[str] = ("tag", "tags")
    dataset_prefixes: Sequence[str] = ()
    orders: Sequence[str] = ()


RUNS = Kind(
    ("run_id", "run_name", "status", "user_id", "artifact_uri", "`run name`", "`Run Name`", "`Run name`"),
    ("start_time", "end_time", "created", "Created"),
    ("", "", "attribute.", "attributes.", "attr.", "run."),
    ("metric", "metrics"),
    ("parameter", "parameters", "param", "params"),
    ("tag", "tags"),
    ("dataset", "datasets"),
    ("run_id", "run_name", "status", "user_id", "artifact_uri", "start_time", "end_time", "created", "Created"),
)
EXPERIMENTS = Kind(
    ("name", "experiment_id"),
    ("creation_time", "last_update_time"),
    ("", "", "attribute.", "attributes.", "attr."),
    orders=("name", "experiment_id", "creation_time", "last_update_time"),
)
MODELS = Kind(("name",), (), ("", "", "attribute."), orders=("name", "timestamp", "last_updated_timestamp"))
VERSIONS = Kind(
    ("name", "run_id", "source_path"),
    ("version_number",),
    ("", "", "attribute."),
    orders=("name", "version_number", "creation_timestamp", "last_updated_timestamp"),
)
LOGGED_MODELS = Kind(
    ("name", "model_id", "model_type", "status", "source_run_id"),
    ("creation_time", "creation_timestamp", "last_updated_time", "last_updated_timestamp"),
    ("", "", "attributes."),
    ("metrics",),
    ("params",),
    ("tags",),
    orders=("name", "model_id", "creation_time", "creation_timestamp", "last_updated_timestamp"),
)


class Queries:
    """Draws filters and orders. `ids` are references to what the scenario made."""

    def __init__(self, draw: random.Random, runs: Sequence[str] = (), experiments: Sequence[str] = ()) -> None:
        self._draw = draw
        self._runs = list(runs) or ["f" * 32]
        self._experiments = list(experiments) or ["0"]

    def filter(self, kind: Kind, *, legal: bool = True) -> str:
        """A filter; one that is not legal carries one mistake of some kind."""
        draw = self._draw
        count = draw.choices((0, 1, 2, 3), (1, 6, 3, 1))[0]
        clauses = [self._clause(kind) for _ in range(count)]
        text = draw.choice((" AND ", " and ", "  AND\n")).join(clauses)
        if legal:
            return (
                draw.choice((f"{text} AND", f"AND {text}", text.replace(" AND ", " ")))
                if draw.random() < 0.03
                else text
            )
        wrong = draw.choice(
            (
                self._wrong_operator(kind),
                self._wrong_key(kind),
                self._wrong_value(kind),
                draw.choice(
                    (
                        "   ",
                        "metrics.k = 1 OR params.k = '1'",
                        "NOT name = 'x'",
                        "(name = 'x')",
                        "name = 'x'; name = 'y'",
                        "name = 'x' -- y",
                        "name",
                        "= 'x'",
                        "name = ",
                        "name = 'x",
                        'name = "x',
                        "name = x",
                        "name 'x'",
                        "params.k = 'it''s'",
                        "name = 'a' name = 'b'",
                        "name IN ()",
                        "name IN 'x'",
                        "name IN ('x',)",
                        "name IN (1, 2)",
                        "params.in = 'x'",
                        "tags.a-b = 'x'",
                        "'name' = 'x'",
                        "name = 'x' AND",
                        "AND AND",
                        "name IS 'x'",
                        "/* c */ name = 'x'",
                        "select * from x",
                        "😀 = 'x'",
                    )
                ),
            )
        )
        return wrong if not text or draw.random() < 0.5 else f"{text} AND {wrong}"

    def order(self, kind: Kind, *, legal: bool = True) -> list[str]:
        draw = self._draw
        if not legal:
            return [
                draw.choice(
                    (
                        "nope",
                        "name FOO",
                        "name DESC ASC",
                        "",
                        " ",
                        "`name",
                        "metrics.",
                        "dataset.name",
                        "a b c",
                        "name,",
                        "1",
                        "name desc;",
                    )
                )
            ]
        count = draw.choices((0, 1, 2), (4, 4, 2))[0]
        found: list[str] = []
        used: set[str] = set()
        for _ in range(count):
            field = self._order_field(kind)
            plain = field.rpartition(".")[2].strip('`"').lower()
            plain = {"created": "start_time", "timestamp": "last_updated_timestamp"}.get(plain, plain)
            if plain.removesuffix("stamp") in used:
                continue
            used.add(plain.removesuffix("stamp"))
            found.append(field + draw.choice(("", " ASC", " DESC", " desc", "  asc")))
        return found

    def _order_field(self, kind: Kind) -> str:
        draw = self._draw
        sort = draw.random()
        if kind.metric_prefixes and sort < 0.35:
            return f"{draw.choice(list(kind.metric_prefixes))}.{self._quoted(draw.choice(values.KEYS))}"
        if kind.param_prefixes and sort < 0.5:
            return f"{draw.choice(list(kind.param_prefixes))}.{self._quoted(draw.choice(values.KEYS))}"
        if kind is RUNS and sort < 0.6:
            return f"tags.{self._quoted(draw.choice(values.KEYS))}"
        return draw.choice(list(kind.attribute_prefixes)) + draw.choice(list(kind.orders))

    def _quoted(self, key: str) -> str:
        if key.isalnum() and key.isascii() and self._draw.random() < 0.7:
            return key
        return self._draw.choice((f"`{key}`", f'"{key}"', f"`{key}`"))

    def _clause(self, kind: Kind) -> str:
        draw = self._draw
        sort = draw.random()
        space = draw.choice((" ", " ", " ", "  ", "\t"))
        if kind.metric_prefixes and sort < 0.25:
            key = self._quoted(draw.choice(values.KEYS))
            return f"{draw.choice(list(kind.metric_prefixes))}.{key}{space}{draw.choice(_NUMERIC)}{space}{draw.choice(_NUMBERS)}"
        if kind.param_prefixes and sort < 0.45:
            return self._text_clause(
                f"{draw.choice(list(kind.param_prefixes))}.{self._quoted(draw.choice(values.KEYS))}", kind, False
            )
        if sort < 0.6:
            return self._text_clause(
                f"{draw.choice(list(kind.tag_prefixes))}.{self._quoted(draw.choice(values.TAG_KEYS))}", kind, False
            )
        if kind.dataset_prefixes and sort < 0.7:
            return self._text_clause(
                f"{draw.choice(list(kind.dataset_prefixes))}.{draw.choice(('name', 'digest', 'context'))}", kind, True
            )
        if kind.numbers and sort < 0.8:
            number = draw.choice(("0", "1", "1000", "1772323205000", "1772323210000"))
            if kind is VERSIONS:
                number = draw.choice(("0", "1", "2"))
            name = draw.choice(list(kind.attribute_prefixes)) + draw.choice(list(kind.numbers))
            return f"{name}{space}{draw.choice(_NUMERIC)}{space}{number}"
        name = draw.choice(list(kind.texts))
        prefixed = draw.choice(list(kind.attribute_prefixes)) + name
        if name == "run_id":
            return self._id_clause(prefixed, self._runs)
        if name == "experiment_id":
            return self._id_clause(prefixed, self._experiments)
        if name == "status":
            status = draw.choice(("RUNNING", "FINISHED", "FAILED", "running", "READY", "R%"))
            return f"{prefixed} {draw.choice(('=', '!=', 'LIKE', 'ILIKE'))} '{status}'"
        return self._text_clause(
            prefixed, kind, name == "name" and kind in (EXPERIMENTS, MODELS, VERSIONS, LOGGED_MODELS)
        )

    def _id_clause(self, name: str, ids: Sequence[str]) -> str:
        draw = self._draw
        if draw.random() < 0.6:
            members = ", ".join(f"'{draw.choice(list(ids))}'" for _ in range(draw.randint(1, 2)))
            return f"{name} {draw.choice(_MEMBER)} ({members})"
        return f"{name} {draw.choice(('=', '!='))} '{draw.choice(list(ids))}'"

    def _text_clause(self, name: str, kind: Kind, members: bool) -> str:
        draw = self._draw
        value = draw.choice(values.SOUGHT)
        sort = draw.random()
        if members and sort < 0.3:
            return f"{name} {draw.choice(_MEMBER)} ({', '.join(repr(v) for v in draw.sample(('a', 'b', '1', 'e1', 'm1', 'train', 'd1'), 2))})"
        if kind in (RUNS, EXPERIMENTS) and name.startswith(("tag", "param")) and sort < 0.2:
            return f"{name} {draw.choice(_NULL)}"
        quote = '"' if "'" in value else draw.choice(("'", "'", '"'))
        operators = _TEXT[:4] if kind is EXPERIMENTS else _TEXT
        return (
            f"{name}{draw.choice((' ', ' ', ''))}{draw.choice(('=', '!='))}{draw.choice((' ', ''))}{quote}{value}{quote}"
            if sort < 0.6
            else (f"{name} {draw.choice(operators)} {quote}{value}{quote}")
        )

    def _wrong_operator(self, kind: Kind) -> str:
        draw = self._draw
        name = draw.choice(
            (*kind.texts, *kind.numbers, "tags.k", *(f"{p}.k" for p in (*kind.metric_prefixes, *kind.param_prefixes)))
        )
        operator = draw.choice((*_BAD_OPERATORS, "<", ">", "LIKE", "IN", "IS NULL", "NOT IN"))
        value = draw.choice(("'x'", "1", "('a')", ""))
        return f"{name} {operator} {value}"

    def _wrong_key(self, kind: Kind) -> str:
        return self._draw.choice(
            (
                "nope = 'x'",
                "foo.bar = 'x'",
                "Metrics.k = 1",
                "lifecycle_stage = 'active'",
                "attribute.nope = 1",
                "tags = 'x'",
                "params. = 'x'",
                ".k = 'x'",
                "a.b.c = 'x'",
                "dataset.nope = 'x'",
            )
        )

    def _wrong_value(self, kind: Kind) -> str:
        draw = self._draw
        number = draw.choice((*kind.numbers, *(f"{p}.k" for p in kind.metric_prefixes), "tags.k"))
        if draw.random() < 0.5:
            return f"{number} {draw.choice(('=', '>'))} {draw.choice(_BAD_NUMBERS)}"
        return f"{draw.choice((*kind.texts, 'tags.k'))} = {draw.choice(('1', 'x', '1.5', 'NULL', 'true'))}"
