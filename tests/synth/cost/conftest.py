"""The examples, synthesized once for these tests too."""

from tests.synth.platform.conftest import assembly, synthesize

__all__ = ["assembly", "synthesize"]
