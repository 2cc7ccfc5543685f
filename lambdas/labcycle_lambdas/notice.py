"""What the owner is told: e-mails that say what happened, with which figures, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: ASCII, no line breaks, less than 100 characters
_SUBJECT_LENGTH = 99


@dataclass(frozen=True)
class Notice:
    """Subject and text of an SNS message; the subject is cut and cleaned to what SNS takes."""

    subject: str
    message: str

    @classmethod
    def of(cls, subject: str, lines: Sequence[str]) -> Notice:
        printable = "".join(c if " " <= c <= "~" else "?" for c in " ".join(subject.split()))
        if len(printable) > _SUBJECT_LENGTH:
            printable = printable[: _SUBJECT_LENGTH - 3] + "..."
        return cls(printable, "\n".join(lines) + "\n")

    def to_doc(self) -> dict[str, str]:
        return asdict(self)
