"""The tests. What hypothesis draws in them does not depend on which modules other tests imported before.

It draws constants of all local modules that are imported, too: a worker that ran other tests would draw others.
"""

from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

assert callable(providers._get_local_constants)
providers._get_local_constants = Constants
