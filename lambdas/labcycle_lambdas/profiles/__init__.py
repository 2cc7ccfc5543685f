"""Profiles of what a model sees and says, and how far they have moved from what it was trained on.

A `Reference` fixes the bins of each feature and of the prediction, from the training data. A `Profile` counts live rows into
those bins. Profiles of one reference merge by addition, so that drift over any window is computed from a few small documents,
and the raw rows are never needed: `compare` tells how far each column is from the reference, and `moved` which of them count.
Plain Python: no numpy, so that every function can use it.
"""

from labcycle_lambdas.profiles.comparison import ColumnComparison, Method, compare, moved
from labcycle_lambdas.profiles.profile import Profile
from labcycle_lambdas.profiles.reference import PREDICTION, Reference

__all__ = ["PREDICTION", "ColumnComparison", "Method", "Profile", "Reference", "compare", "moved"]
