"""Whether a version fits the runtime of its model's server, and how it is loaded there.

A runtime is a flavour of MLflow with pinned packages. A version fits if it was logged with that flavour, by the same packages:
the same major and minor version of each that both name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.ledger.errors import Refused

_PACKAGES = {"sklearn": "scikit-learn", "xgboost": "xgboost", "lightgbm": "lightgbm", "pyfunc": "mlflow"}
_VERSIONS = {"sklearn": "sklearn_version", "xgboost": "xgb_version", "lightgbm": "lgb_version"}  # in the MLmodel file
_SMALLER = {"xgboost-cpu": "xgboost", "mlflow-skinny": "mlflow"}  # packages that stand for another
_FORMATS = ("pickle", "cloudpickle", "skops")
_PREDICT = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
_CLASS = re.compile(r"(xgboost|lightgbm)(\.[A-Za-z_]\w*)+")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([A-Za-z0-9.!+_-]+)\s*(?:[;#].*)?")
_NAMED = 5


@dataclass(frozen=True)
class Runtime:
    """`pins` are versions by the names of packages, `digest` names all that the server is made from. `next` is the runtime that is
    deployed beside this one, None where there is none."""

    flavour: str
    digest: str
    python: str
    pins: Mapping[str, str]
    next: Runtime | None = None

    @classmethod
    def read(cls, text: str) -> Runtime | None:
        """From what the model's stack says of it; None where it says nothing: ONNX."""
        if not text:
            return None
        told = json.loads(text)
        beside = told.pop("next", None)
        return cls(**told, next=cls(**beside) if beside else None)

    def runs(self, runtime: Mapping[str, Any] | None) -> bool:
        """Whether a version that was promoted to be loaded so has its packages here, in the first runtime or in the next."""
        return (runtime or {}).get("digest") in (self.digest, *([self.next.digest] if self.next else []))

    @property
    def mend(self) -> str:
        """What to do with a version that does not fit."""
        return (
            f"Log the model with mlflow.{self.flavour}.log_model and the packages that the requirements of the model's runtime in the "
            "team file pin, register that, and promote the new version; or put the flavour and the packages that it was logged with "
            "under `next` of that runtime, deploy, and promote it again."
        )

    def describe(
        self, label: str, description: Mapping[str, Any], paths: Sequence[str], logged: str
    ) -> tuple[str, dict[str, Any]]:
        """The file of a version that is loaded, and how, as `Deployed.runtime` holds it: of the two runtimes by the one that differs
        less from what it was logged with, and by the first where both do alike.

        Parameters
        ----------
        description
            The content of its MLmodel file.
        paths
            Those of its files.
        logged
            The requirements that were logged with it.

        Raises
        ------
        Refused
            If it fits neither; the message says why, and how to mend it.
        """
        fitting: list[tuple[str, dict[str, Any]]] = []
        said: list[str] = []
        for one in (self, self.next):
            if one is None:
                continue
            try:
                fitting.append(one._describe(label, description, paths, logged))
            except Refused as refused:
                said.append(str(refused).removesuffix(one.mend).rstrip())
        if not fitting:
            raise Refused(f"{' By the next runtime: '.join(said)} {self.mend}")
        return min(fitting, key=lambda found: len(found[1].get("noted", ())))

    def _describe(
        self, label: str, description: Mapping[str, Any], paths: Sequence[str], logged: str
    ) -> tuple[str, dict[str, Any]]:
        flavors = description["flavors"]
        of_pyfunc = flavors.get("python_function")
        pyfunc = of_pyfunc if isinstance(of_pyfunc, Mapping) else {}
        own = flavors.get("python_function" if self.flavour == "pyfunc" else self.flavour)
        if not isinstance(own, Mapping):
            there = ", ".join(str(name) for name in flavors) or "none"
            raise Refused(
                f"{label} has no {self.flavour} flavor (its flavors: {there[:200]}); the server of its model runs {self.flavour}. {self.mend}"
            )
        self._check_packages(label, own, logged)
        path, how = self._pyfunc(label, own, paths) if self.flavour == "pyfunc" else self._own(label, own, pyfunc)
        if path not in paths:
            raise Refused(f"{label} names {path!r} as its model, which is not among its files. {self.mend}")
        noted = list(self._differences(own, logged))
        if how.get("format") == "cloudpickle" and (python := self._other_python(pyfunc)):
            noted.append(f"it was pickled by Python {python}, its server has {self.python}")
        return path, {"flavour": self.flavour, "digest": self.digest, **how, **({"noted": noted} if noted else {})}

    def _own(self, label: str, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        if own.get("code"):
            raise Refused(
                f"{label} brings code of its own (code_paths), which the runtime {self.flavour} does not load. Log it without, or "
                "give the model the runtime pyfunc in the team file, and deploy."
            )
        predict = str(pyfunc.get("predict_fn") or "predict")
        if predict not in _PREDICT:
            raise Refused(
                f"{label} predicts by {predict[:80]!r}; allowed: {', '.join(_PREDICT)}. Log it with another pyfunc_predict_fn."
            )
        how: dict[str, Any] = {"predict": predict}
        if self.flavour != "sklearn":
            how["class"] = str(own.get("model_class") or f"{self.flavour}.Booster")
            if not _CLASS.fullmatch(how["class"]):
                raise Refused(f"{label} is a {how['class'][:80]!r}, which is no class of {self.flavour}. {self.mend}")
        if self.flavour == "sklearn" or (self.flavour == "lightgbm" and not how["class"].endswith(".Booster")):
            how["format"] = str(
                own.get("serialization_format") or ("pickle" if self.flavour == "sklearn" else "cloudpickle")
            )
            if how["format"] not in _FORMATS:
                raise Refused(
                    f"{label} was serialized as {how['format'][:80]!r}; allowed: {', '.join(_FORMATS)}. {self.mend}"
                )
            if trusted := own.get("skops_trusted_types"):
                how["trusted"] = [str(one) for one in trusted]
        return str(own.get("pickled_model" if self.flavour == "sklearn" else "data")), how

    def _pyfunc(self, label: str, own: Mapping[str, Any], paths: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """A function that was pickled is bytes of the Python that ran it; code that was logged as a file is not."""
        python = self._other_python(own)
        if own.get("python_model") and python:
            raise Refused(
                f"{label} was pickled by Python {python}; the server of its model has Python {self.python}, which cannot load the code "
                f'in it. Log it with Python {self.python}, or log its code as a file (python_model="model.py").'
            )
        named = [str(own[key]) for key in ("python_model", "model_code_path", "data", "model_path") if own.get(key)]
        return next((path for path in named if path in paths), "MLmodel"), {}

    def _other_python(self, pyfunc: Mapping[str, Any]) -> str:
        """The Python that it was logged with, where the server has another."""
        python = str(pyfunc.get("python_version") or "")
        return python if python and _minor(python) != _minor(self.python) else ""

    def _check_packages(self, label: str, own: Mapping[str, Any], logged: str) -> None:
        found, have = self._logged(own, logged), self._have()
        said = [
            f"{name} {version} (the server has {have[name]})"
            for name, version in found.items()
            if name in have and name != "mlflow" and _minor(version) != _minor(have[name])
        ]
        if self.flavour == "pyfunc":
            said += [
                f"{name} {version} (the server has none)"
                for name, version in found.items()
                if name not in have and name != "mlflow"
            ]
        if said:
            more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
            raise Refused(
                f"{label} was logged with other packages than its model's server has: {'; '.join(said[:_NAMED])}{more}. {self.mend}"
            )

    def _differences(self, own: Mapping[str, Any], logged: str) -> Iterator[str]:
        have = self._have()
        for name, version in self._logged(own, logged).items():
            if name in have and version != have[name] and name != "mlflow":
                yield f"it was logged with {name} {version}, its server has {have[name]}"

    def _logged(self, own: Mapping[str, Any], text: str) -> dict[str, str]:
        pins = [found.groups() for line in text.splitlines() if (found := _PIN.fullmatch(line.strip()))]
        logged = {_normalised(name): version for name, version in pins}
        if version := own.get(_VERSIONS.get(self.flavour, "")):
            logged[_PACKAGES[self.flavour]] = str(version)
        return logged

    def _have(self) -> dict[str, str]:
        return {_normalised(name): version for name, version in self.pins.items()}


def _minor(version: str) -> list[str]:
    return version.split("+")[0].split(".")[:2]


def _normalised(name: str) -> str:
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return _SMALLER.get(plain, plain)
