"""Which member a token stands for: issuer and subject, as team and target file name them."""

from __future__ import annotations

from collections.abc import Iterator

from .problem import Path
from .target import Target
from .team import Team


def subjects_of(team: Team, target: Target) -> dict[str, dict[str, str]]:
    """Members by the address of an issuer and the subject of its tokens; only issuers of the team's tracking API."""
    found: dict[str, dict[str, str]] = {issuer.url: {} for issuer in team.tracking.issuers}
    for url, subject, member, _ in named_subjects(team, target):
        found[url].setdefault(subject, member)
    return found


def named_subjects(team: Team, target: Target) -> Iterator[tuple[str, str, str, Path]]:
    """Issuer's address, subject, member, and where the file says so."""
    urls = {issuer.name: issuer.url for issuer in team.tracking.issuers}
    provider = (target.sign_in.oidc_provider or "").rstrip("/")
    own = [url for url in urls.values() if url.removeprefix("https://").rstrip("/") == provider]
    for i, member in enumerate(team.members):
        if member.principal.kind == "oidc_subject":
            for url in own:
                yield url, member.principal.value, member.name, ("members", i, "principal", "oidc_subject")
        for j, token in enumerate(member.tokens):
            yield urls[token.issuer], token.subject, member.name, ("members", i, "tokens", j, "subject")
