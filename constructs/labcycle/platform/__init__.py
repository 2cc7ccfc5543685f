"""The stages of a target and of a team: wiring of the capabilities, with no resource of its own."""

from labcycle.platform.target_platform import TargetPlatform
from labcycle.platform.team_platform import TeamPlatform

__all__ = ["TargetPlatform", "TeamPlatform"]
