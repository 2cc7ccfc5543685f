"""Machines to work on."""

from labcycle.workspaces.ec2_workspaces import Ec2Workspaces

__all__ = ["Ec2Workspaces"]
