"""Profiles of what a model sees and says, and how far they have moved from what it was trained on.

A `Reference` fixes the bins of each feature and of the prediction, from a table of the training data. A `Profile` counts
live rows into those bins. Profiles of one reference merge by addition, so that drift over any window is computed from a
few small documents, and the raw rows are never needed. Plain Python: no numpy, so that every function can use it.
"""

from labcycle_lambdas.profiles.profile import Profile
from labcycle_lambdas.profiles.reference import PREDICTION, Reference
from labcycle_lambdas.profiles.stability import FeatureStability, population_stability_index

__all__ = ["PREDICTION", "FeatureStability", "Profile", "Reference", "population_stability_index"]
