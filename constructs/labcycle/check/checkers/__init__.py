"""The programs that check a template, each behind the same small interface.

Their own ways to switch rules off (metadata of the template, files in the working or home folder) are not honoured: only
what `acknowledge` reads counts.
"""

from __future__ import annotations

from collections.abc import Callable

from labcycle.check.finding import CheckError

from .cdk_nag import CdkNag
from .cfn_lint import CfnLint
from .checker import Checker
from .cloudformation_validate import CloudFormationValidate
from .own_rules import OwnRules
from .parliament import Parliament
from .secrets import Secrets
from .statelint import StateLint

__all__ = [
    "CdkNag",
    "CfnLint",
    "Checker",
    "CloudFormationValidate",
    "OwnRules",
    "Parliament",
    "Secrets",
    "StateLint",
    "all_checkers",
]


# Those that start programs come first, and run while the others do.
_ALL: tuple[Callable[[], Checker], ...] = (
    CdkNag,
    CfnLint,
    CloudFormationValidate,
    OwnRules,
    Parliament,
    StateLint,
    Secrets,
)


def all_checkers() -> list[Checker]:
    """Every checker, ready.

    Raises
    ------
    CheckError
        If one is not installed or cannot be started; the gate never passes without it.
    """
    checkers = []
    for make in _ALL:
        name = make.__name__
        try:
            checkers.append(make())
        except ImportError as error:
            missing = error.name or "a package"
            raise CheckError(
                f"{name} needs the Python package {missing}. Install it with: pip install 'labcycle[check]'"
            ) from None
        except CheckError:
            raise
        except (Exception, SystemExit) as error:
            raise CheckError(f"{name} cannot be started: {type(error).__name__}: {error}. Install it anew") from error
    return checkers
