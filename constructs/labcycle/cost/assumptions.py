"""What is assumed where a template cannot say it, all in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Assumption:
    """A figure, and the sentence that says what it stands for."""

    value: float
    says: str


PREDICTION_SECONDS = Assumption(0.05, "a model answers within 50 ms")
DOOR_SECONDS = Assumption(0.06, "the function before an endpoint takes 10 ms more than the model")
TRACED_SHARE = Assumption(1.0, "every call is traced, as it is with up to one a second; with more, one of twenty")
LOGGED_KB = Assumption(2.0, "a call is logged with 2 KB")
PREDICTION_WRITES = Assumption(
    0.07, "a prediction takes 0.07 writes of the ledger: profiles of a minute, at one request a second"
)
CALL_SECONDS = Assumption(0.08, "a call of the tracking API computes 80 ms")
RUN_CALLS = Assumption(15, "a logged run takes 15 calls, 40 writes of the ledger and 5 files")
RUN_WRITES = Assumption(40, RUN_CALLS.says)
RUN_FILES = Assumption(5, RUN_CALLS.says)
IDLE_SECONDS = Assumption(
    3, "a scheduled function that finds nothing to do takes 3 s, its start included, and 5 reads of the ledger"
)
IDLE_READS = Assumption(5, IDLE_SECONDS.says)
EVALUATION_SECONDS = Assumption(10, "an evaluation of a busy model takes 10 s and 1,000 reads of the ledger")
EVALUATION_READS = Assumption(1_000, EVALUATION_SECONDS.says)
OBJECT_SECONDS = Assumption(10, "an object of a batch is scored within 10 s, with 5 transitions and 5 PUTs")
OBJECT_TRANSITIONS = Assumption(5, OBJECT_SECONDS.says)
OBJECT_PUTS = Assumption(5, OBJECT_SECONDS.says)
REPORT_SECONDS = Assumption(10, "a report is made within 10 s")
MACHINE_SECONDS = Assumption(
    10, "a state machine passes each state once, and each of its functions computes 10 s for it"
)
BUILD_MINUTES = Assumption(10, "an image is built within 10 minutes")
POLLS_A_MONTH = Assumption(
    5 * 3 * 60 * 730, "five connections of Lambda ask a queue, each every 20 s, though it is empty"
)
SCALING_ALARMS = Assumption(2, "a policy that follows a target has two alarms, which AWS makes")
INTERFACE_ENDPOINTS = Assumption(12, "egress by endpoints takes 12 interface endpoints in each zone")

SAID = tuple(
    dict.fromkeys(found.says for found in list(globals().values()) if isinstance(found, Assumption))
)  # each once, in the order above
