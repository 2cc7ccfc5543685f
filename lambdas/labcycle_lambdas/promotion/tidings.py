"""What the owner is told when a promotion has ended, out of its record."""

from __future__ import annotations

from labcycle_lambdas.ledger.promotions import FAILED, GIVEN_UP, LIVE, REFUSED, TAKEN_BACK, Promotion
from labcycle_lambdas.notice import Notice

_SUBJECTS = {
    LIVE: "version {version} of {model} is live",
    REFUSED: "version {version} of {model} was not promoted",
    TAKEN_BACK: "version {version} of {model} was taken back",
    GIVEN_UP: "the promotion of version {version} of {model} was given up",
    FAILED: "the promotion of version {version} of {model} failed",
}
_WHAT = {
    LIVE: "Version {version} of {model} answers all requests now.",
    REFUSED: "Version {version} of {model} was not promoted: it did not pass what comes before a trial. It got no traffic.",
    TAKEN_BACK: "Version {version} of {model} was tried and took itself out of traffic. What it could not answer, the live version did.",
    GIVEN_UP: "The promotion of version {version} of {model} was given up, since somebody decided otherwise.",
    FAILED: "The promotion of version {version} of {model} broke off. The version gets no traffic.",
}
_NEXT = {
    LIVE: "To take it back: labcycle models rollback {model}",
    REFUSED: "When it is mended: labcycle models promote {model} {version}",
    TAKEN_BACK: "When it is mended, register a new version, and promote that.",
    GIVEN_UP: "To try it again: labcycle models promote {model} {version}",
    FAILED: "To try it again: labcycle models promote {model} {version}",
}


def notice(team: str, model: str, promotion: Promotion, live: int | None) -> Notice:
    """`live` is the version that is live now."""
    fields = {"version": promotion.version, "model": model}
    lines = [
        _WHAT[promotion.outcome].format(**fields),
        *(f"  {said}" for said in promotion.said),
        "",
        f"Live: {f'version {live}' if live else 'nothing'}.",
        f"Asked for by {promotion.requested_by} at {promotion.requested_at}.",
        *([f"Reason: {promotion.reason}"] if promotion.reason else []),
        "",
        _NEXT[promotion.outcome].format(**fields),
        f"To see what happened: labcycle models history {model}",
    ]
    return Notice.of(f"labcycle {team}: {_SUBJECTS[promotion.outcome].format(**fields)}", lines)
