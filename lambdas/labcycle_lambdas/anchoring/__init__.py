"""Anchoring: the heads of the custody chains, written where nobody can change them."""
