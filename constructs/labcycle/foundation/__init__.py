"""The foundation of a team: permissions boundary, key, audit buckets, member roles, event bus, notices."""

from labcycle.foundation.boundary import PermissionsBoundary
from labcycle.foundation.team_foundation import TeamFoundation

__all__ = ["PermissionsBoundary", "TeamFoundation"]
