"""Our rules in the language of CloudFormation Guard: each holds one resource against one sentence.

A rule is a file NAME.guard beside this one, and its id is the name with dashes. It begins with three comments:
```
# The rule's one sentence.
# why: what goes wrong without it.
# mend: what to set.
```
and holds one Guard rule of the same NAME, each clause with a message. cloudformation-validate evaluates them, and so
does `cfn-guard validate`. The language: https://docs.aws.amazon.com/cfn-guard/latest/ug/writing-rules.html

How they are written:
- A value that an intrinsic function gives (`Ref`, `Fn::If`, ...) counts as set: nobody knows it before the deployment.
- In hand-written templates a boolean may be the word: `[true, "true"]`.
- Rules about the keeping of data do not apply to what is tagged `labcycle:stage: sandbox`.
- Elements of a list are filtered where they are checked: a variable for them would be unresolved, and the rule skipped
  without a word, as soon as one resource has no such list.
- `list[ ... ] !empty` alone is reported without a resource where nothing passes the filter: write `some list[*].Key exists`,
  or add an alternative that looks at the list itself. A filter on a map goes through its values, not the map.
- `!=` with a regular expression fails on an intrinsic function: name `is_struct` as the alternative.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

_HEADER = re.compile(r"# (?P<sentence>.+)\n# why: (?P<why>.+)\n# mend: (?P<mend>.+)\n")


@dataclass(frozen=True)
class GuardRule:
    """A rule in Guard's language.

    Parameters
    ----------
    id
        By which it is acknowledged: the name of its file with dashes.
    name
        Of the Guard rule in the text, by which the engine reports it.
    sentence
        What holds where the rule is kept.
    why
        The harm where it is not.
    mend
        What to set.
    text
        The whole file, for the engine.
    """

    id: str
    name: str
    sentence: str
    why: str
    mend: str
    text: str

    @classmethod
    def read(cls, name: str, text: str) -> GuardRule:
        """The rule that a file NAME.guard holds.

        Raises
        ------
        ValueError
            If it does not begin with its sentence, why and mend.
        """
        header = _HEADER.match(text)
        if header is None:
            raise ValueError(
                f"{name}.guard: the file must begin with the comments `# SENTENCE`, `# why: ...`, `# mend: ...`"
            )
        return cls(id=name.replace("_", "-"), name=name, text=text, **header.groupdict())


def load() -> tuple[GuardRule, ...]:
    """All rules, in the order of their ids."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".guard"))
    return tuple(
        GuardRule.read(file.name.removesuffix(".guard"), file.read_text(encoding="utf-8"))
        for file in sorted(files, key=lambda file: file.name)
    )
