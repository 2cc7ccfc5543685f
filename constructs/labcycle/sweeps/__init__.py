"""Sweeps: one script, many points, each a run in the ledger. Imports no aws_cdk."""
