"""Team and target files: models, loader, JSON Schema, and the names that follow from them. Imports no aws_cdk."""

from .gather import load_paths
from .hardware import PRICES_AS_OF, PRICES_REGION, TIERS, HardwareTier, TierName
from .loader import load_all, load_target, load_team
from .locks import Flavour, Lock
from .problem import ConfigError, Problem
from .schema import json_schema
from .subjects import subjects_of
from .target import Network, SignIn, Target
from .team import (
    ApiDelivery,
    AppDelivery,
    BatchDelivery,
    Consumer,
    ConsumerQuota,
    Drift,
    FargateDelivery,
    Issuer,
    Member,
    Model,
    Monitor,
    Principal,
    Promotion,
    Reaction,
    ReportDelivery,
    RetentionRule,
    Retrain,
    Role,
    Runtime,
    Stage,
    Team,
    Token,
    Tracking,
    Workspaces,
)
from .together import check_together

__all__ = [
    "PRICES_AS_OF",
    "PRICES_REGION",
    "TIERS",
    "ApiDelivery",
    "AppDelivery",
    "BatchDelivery",
    "ConfigError",
    "Consumer",
    "ConsumerQuota",
    "Drift",
    "FargateDelivery",
    "Flavour",
    "HardwareTier",
    "Issuer",
    "Lock",
    "Member",
    "Model",
    "Monitor",
    "Network",
    "Principal",
    "Problem",
    "Promotion",
    "Reaction",
    "ReportDelivery",
    "RetentionRule",
    "Retrain",
    "Role",
    "Runtime",
    "SignIn",
    "Stage",
    "Target",
    "Team",
    "TierName",
    "Token",
    "Tracking",
    "Workspaces",
    "check_together",
    "json_schema",
    "load_all",
    "load_paths",
    "load_target",
    "load_team",
    "subjects_of",
]
