"""The proof that teams are cells: what one team's roles and machines can do to what is another's."""

from .proof import isolation
from .report import Break, Exempt, IsolationReport, WayOut

__all__ = ["Break", "Exempt", "IsolationReport", "WayOut", "isolation"]
