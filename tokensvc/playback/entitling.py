"""The claims of a token after the entitlement hook has limited them."""

from __future__ import annotations

from tokensvc.access.entitlement_answer import Answer, refused
from tokensvc.errors import InvalidRequest
from tokensvc.token.claims import PlaybackClaims


def entitled(claims: PlaybackClaims, answer: Answer, now: float) -> PlaybackClaims:
    """The claims, as tight as the answer requires.

    Args:
        claims: what the grants allow; they break no rule.
        answer: the answer of the hook.
        now: when the claims were made, Unix seconds.

    Raises:
        NotEntitled: when the answer refuses, or requires what the request can't have, such as
            strict origin enforcement without any origin.
    """
    options = answer.tighten(claims.options, now)
    if options == claims.options:
        return claims
    try:
        return PlaybackClaims.at(
            now,
            claims.channel_arn,
            options,
            claims.viewer_id,
            session_version=claims.viewer_session_version,
        )
    except InvalidRequest as exc:
        text = " ".join(problem.message for problem in exc.problems)
        raise refused(
            f"The entitlement hook requires options that this request can't have. {text}"
        ) from exc
