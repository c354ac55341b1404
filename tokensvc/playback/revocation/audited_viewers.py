"""Find the viewers whose tokens some key pairs signed, from an audit log.

Tokens that an attacker signed are not in the audit log, so their viewers can't be found.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn
from tokensvc.ivs.limits import LONGEST_VIEWER_ID
from tokensvc.ivs.viewer_sessions import Viewer


@dataclass(frozen=True, slots=True)
class AuditedViewers:
    """What an audit log says about the tokens that some key pairs signed.

    Attributes:
        viewers: the viewers of these tokens, each once, in order.
        tokens_without_viewer_id: the number of tokens whose sessions can't be revoked, because
            they had no viewer ID.
        unreadable_lines: the number of lines that are not lines of an audit log.
    """

    viewers: tuple[Viewer, ...]
    tokens_without_viewer_id: int
    unreadable_lines: int


def audited_viewers(lines: Iterable[str], key_ids: Collection[str]) -> AuditedViewers:
    """The viewers of the tokens that these key pairs signed, from the JSON lines of an audit."""
    viewers: set[Viewer] = set()
    tokens_without_viewer_id = unreadable_lines = 0
    for line in lines:
        try:
            signed_by, viewer = _granted(line)
        except (ValueError, LookupError, TypeError, InvalidArn):
            unreadable_lines += 1
            continue
        if signed_by not in key_ids:
            continue
        if viewer is None:
            tokens_without_viewer_id += 1
        else:
            viewers.add(viewer)
    return AuditedViewers(tuple(sorted(viewers)), tokens_without_viewer_id, unreadable_lines)


def _granted(line: str) -> tuple[str | None, Viewer | None]:
    """The ID of the key pair that signed and the viewer; None where the line has none."""
    event = json.loads(line)
    signed_by, viewer_id = event["key_id"], event["viewer_id"]
    if event["decision"] != "granted" or signed_by is None:
        return None, None
    arn = ChannelArn.parse(event["channel_arn"])
    if viewer_id is None:
        return signed_by, None
    if not isinstance(viewer_id, str) or not 0 < len(viewer_id) <= LONGEST_VIEWER_ID:
        raise ValueError("The viewer ID does not have the form that IVS accepts.")
    return signed_by, Viewer(arn, viewer_id)
