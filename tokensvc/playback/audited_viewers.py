"""The viewers that an audit log names under a key pair: what is known of those who hold its tokens.

Tokens that a thief signed by himself are in no log of ours, so their viewers can't be named.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tokensvc.arns import ChannelArn
from tokensvc.claim_rules import LONGEST_VIEWER_ID
from tokensvc.errors import InvalidArn
from tokensvc.ivs.viewer_sessions import Viewer


@dataclass(frozen=True, slots=True)
class AuditedViewers:
    """What an audit log tells of the tokens that some key pairs signed.

    Attributes:
        viewers: the viewers that it names, each once, in order.
        nameless: how many tokens had no viewer ID, so that their sessions can't be revoked.
        unread: how many lines were no lines of an audit log.
    """

    viewers: tuple[Viewer, ...]
    nameless: int
    unread: int


def audited_viewers(lines: Iterable[str], key_ids: Collection[str]) -> AuditedViewers:
    """What the JSON lines tell of the tokens that those key pairs signed."""
    viewers: set[Viewer] = set()
    nameless = unread = 0
    for line in lines:
        try:
            signed_by, viewer = _granted(line)
        except (ValueError, LookupError, TypeError, InvalidArn):
            unread += 1
            continue
        if signed_by not in key_ids:
            continue
        if viewer is None:
            nameless += 1
        else:
            viewers.add(viewer)
    return AuditedViewers(tuple(sorted(viewers)), nameless, unread)


def _granted(line: str) -> tuple[str | None, Viewer | None]:
    """The key that signed, if any did, and the viewer, if the token had one."""
    event = json.loads(line)
    signed_by, viewer_id = event["key_id"], event["viewer_id"]
    if event["decision"] != "granted" or signed_by is None:
        return None, None
    arn = ChannelArn.parse(event["channel_arn"])
    if viewer_id is None:
        return signed_by, None
    if not isinstance(viewer_id, str) or not 0 < len(viewer_id) <= LONGEST_VIEWER_ID:
        raise ValueError("IVS takes no such viewer ID.")
    return signed_by, Viewer(arn, viewer_id)
