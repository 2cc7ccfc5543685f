"""Which module loads versions of which flavour. It needs no client of AWS, and imports a flavour when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.model_server.runnable import Runnable, Unusable

ONNX = "onnx"
_MODULES = {
    ONNX: "labcycle_lambdas.model_server.graph",
    "sklearn": "labcycle_lambdas.model_server.sklearn_model",
    "xgboost": "labcycle_lambdas.model_server.xgboost_model",
    "lightgbm": "labcycle_lambdas.model_server.lightgbm_model",
    "pyfunc": "labcycle_lambdas.model_server.pyfunc_model",
}


def module_of(flavour: str) -> Any:
    """Raises `Unusable` where its libraries are not there."""
    try:
        return importlib.import_module(_MODULES[flavour])
    except ImportError as error:
        raise Unusable(
            f"the server has not what the flavour {flavour} needs ({error}): the runtime of the model in the team file is another"
        ) from error


def load_here(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Runnable:
    """A version, ready to predict in this process, of files that `read` gives. Raises `Unusable` where it cannot be run."""
    loaded: Runnable = module_of((deployed.runtime or {}).get("flavour", ONNX)).load(deployed, read)
    return loaded
