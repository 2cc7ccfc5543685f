"""What stays when a stack is destroyed, said in an output of the stack itself."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack

OUTPUT = "RetainedByDesign"


def say_what_is_retained(stack: Stack, sentence: str) -> None:
    """Add the output `RetainedByDesign`."""
    CfnOutput(stack, OUTPUT, value=sentence, description="What `cdk destroy` of this stack leaves behind")
