"""Load estimators that were pickled, or written by skops. Their bytes are those that were promoted; whatever they hold is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from labcycle_lambdas.model_server.runnable import Unusable

_T = TypeVar("_T")


def unpickled(content: bytes, runtime: Mapping[str, Any]) -> Any:
    """The object, as `format` of the version's runtime says: pickle, cloudpickle or skops."""
    if runtime["format"] != "skops":
        return pickle.loads(content)
    import skops.io

    return skops.io.loads(content, trusted=runtime.get("trusted") or None)


def loaded(load: Callable[[], _T]) -> _T:
    """What `load` gives. Raises `Unusable`, whatever it raises; but where memory is short, that."""
    try:
        return load()
    except (MemoryError, Unusable):
        raise
    except ModuleNotFoundError as error:
        raise Unusable(
            f"it needs the package {str(error.name).partition('.')[0]}, which the requirements of the model's runtime do not pin"
        ) from error
    except (Exception, SystemExit) as error:
        raise Unusable(f"it cannot be loaded: {type(error).__name__}: {str(error)[:400]}") from error
