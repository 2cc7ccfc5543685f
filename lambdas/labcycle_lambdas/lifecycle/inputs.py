"""Whether a new version takes all that consumers of the live one send, by the signatures of both."""

from __future__ import annotations

from labcycle_lambdas.model_server.schema import Column, Schema, Tensor, listed

# What was allowed before is allowed of each of these as well: labcycle_lambdas/model_server/columns.py.
_WIDER = {
    "integer": {"integer", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
}


def refused(live: Schema, new: Schema) -> list[str]:
    """What `new` refuses of the requests that `live` takes, a phrase each; nothing where it takes all."""
    if live.tensors or new.tensors:
        return _tensors(live, new)
    before, after = ({column.name: column for column in schema.columns} for schema in (live, new))
    said = []
    if gone := [name for name in before if name not in after]:
        said.append(f"it does not know {listed(gone)}")
    if needed := [name for name, column in after.items() if not _may_lack(column) and _may_lack(before.get(name))]:
        said.append(f"it needs {listed(needed)}")
    for name in (name for name in before if name in after):
        old, now = before[name].type, after[name].type
        if now not in _WIDER.get(old, {old}):
            said.append(f"{name[:80]!r} was {old} and is {now}")
    return said


def _may_lack(column: Column | None) -> bool:
    """Whether a request needs no value of it: what is missing is NaN or an empty text, which other types do not have."""
    return column is None or (not column.required and column.type in ("float", "double", "string"))


def _tensors(live: Schema, new: Schema) -> list[str]:
    if bool(live.tensors) != bool(new.tensors):
        old, now = (["columns", "tensors"][bool(schema.tensors)] for schema in (live, new))
        return [f"it takes {now} where {old} were taken"]
    before, after = ({tensor.name: tensor for tensor in schema.tensors} for schema in (live, new))
    if before.keys() != after.keys():
        old, now = (listed([str(name) for name in names]) for names in (before, after))
        return [f"its tensors are {now}; they were {old}"]
    return [
        f"{name!r} was {_shown(before[name])} and is {_shown(after[name])}"
        for name in before
        if not _takes(after[name], before[name])
    ]


def _takes(new: Tensor, live: Tensor) -> bool:
    return (
        new.dtype == live.dtype
        and len(new.shape) == len(live.shape)
        and all(now in (-1, old) for now, old in zip(new.shape, live.shape, strict=True))
    )


def _shown(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
