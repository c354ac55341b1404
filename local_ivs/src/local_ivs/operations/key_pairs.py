"""Playback key pairs: ImportPlaybackKeyPair, and Get, List and Delete.

At most three per region. They are immutable, and their names don't identify them. No operation
returns the public key (IVS: private-channels-create-key).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from local_ivs.errors import (
    ConflictError,
    ServiceQuotaExceededError,
    ValidationError,
)
from local_ivs.identifiers import resource_id
from local_ivs.operations.lookup import find
from local_ivs.paging import page
from local_ivs.tagging import add_tags, delete_all_tags, tags_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local_ivs.calls import Call

MAX_KEY_PAIRS = 3  # per account and region (IVS: service-quotas)

# One PEM block with only white space around it. The pattern is from the model of IVS Real-Time
# Streaming, which also allows junk around the block.
_PEM = re.compile(
    r"\s*-----BEGIN PUBLIC KEY-----\r?\n"
    r"(?:[A-Za-z0-9+/=]+\r?\n)+"
    r"-----END PUBLIC KEY-----\s*"
)


@dataclass(frozen=True)
class PublicKeyMaterial:
    """A public key that IVS accepts.

    Attributes:
        pem: SubjectPublicKeyInfo in PEM, as cryptography writes it.
        fingerprint: MD5 of the DER SubjectPublicKeyInfo: lowercase hex bytes separated by colons.
    """

    pem: str
    fingerprint: str


def parse_public_key(text: str) -> PublicKeyMaterial:
    """The P-384 public key in `text`.

    Raises:
        ValidationError: it isn't exactly one PEM `PUBLIC KEY` block with a P-384 key.
    """
    if not _PEM.fullmatch(text):
        raise _invalid_key_error("exactly one PEM block, from BEGIN PUBLIC KEY to END PUBLIC KEY")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid_key_error(
            "a readable public key, but the PEM block can't be decoded"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _invalid_key_error("an ECDSA public key")
    if not isinstance(key.curve, ec.SECP384R1):
        raise _invalid_key_error(f"on curve P-384 (secp384r1), not {key.curve.name}")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # MD5 only identifies the key, as in IVS; security doesn't depend on it.
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return PublicKeyMaterial(
        pem=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        fingerprint=":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2)),
    )


def _invalid_key_error(rule: str) -> ValidationError:
    # The message doesn't contain the text, because it may be a private key.
    return ValidationError(
        f"Request member: publicKeyMaterial failed to satisfy the constraints: it must be {rule}"
    )


def import_key_pair(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ImportPlaybackKeyPair."""
    material = parse_public_key(request["publicKeyMaterial"])
    caller = call.caller
    existing = call.connection.execute(
        "SELECT arn, fingerprint FROM playback_key_pairs"
        " WHERE region = ? AND account_id = ? AND edge_until IS NULL",
        (caller.region, caller.account_id),
    ).fetchall()
    for row in existing:
        if row["fingerprint"] == material.fingerprint:
            raise ConflictError(f"This public key is already imported as {row['arn']}")
    if len(existing) >= MAX_KEY_PAIRS:
        raise ServiceQuotaExceededError(
            f"Quota exceeded: {caller.region} already has {MAX_KEY_PAIRS} playback key pairs, the "
            "maximum that IVS allows; delete one first"
        )
    arn = caller.arn("playback-key", resource_id())
    call.connection.execute(
        "INSERT INTO playback_key_pairs"
        " (arn, region, account_id, name, fingerprint, public_key_pem, edge_from)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            arn,
            caller.region,
            caller.account_id,
            request.get("name", ""),
            material.fingerprint,
            material.pem,
            # Without a delay the key is valid at any time: the clock may be moved back.
            call.now + call.effect_delay_seconds if call.effect_delay_seconds else 0.0,
        ),
    )
    add_tags(call.connection, arn, request.get("tags", {}))
    return {"keyPair": _key_pair(call, find_key_pair(call, arn))}


def get_key_pair(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetPlaybackKeyPair."""
    return {"keyPair": _key_pair(call, find_key_pair(call, request["arn"]))}


def list_key_pairs(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListPlaybackKeyPairs: the summaries have no fingerprint."""

    def rows_after(position: int, count: int) -> list[sqlite3.Row]:
        return call.connection.execute(
            "SELECT * FROM playback_key_pairs"
            " WHERE region = ? AND account_id = ? AND edge_until IS NULL AND position > ?"
            " ORDER BY position LIMIT ?",
            (call.caller.region, call.caller.account_id, position, count),
        ).fetchall()

    # "Default: your service quota or 100, whichever is smaller" (botocore model).
    rows, next_token = page(call, request, rows_after, default_size=MAX_KEY_PAIRS)
    return {"keyPairs": [_key_pair(call, row) for row in rows], "nextToken": next_token}


def delete_key_pair(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """DeletePlaybackKeyPair; the edge stops accepting the key when the delete has reached it."""
    row = find_key_pair(call, request["arn"])
    connection = call.connection
    connection.execute(
        "UPDATE playback_key_pairs SET edge_until = ? WHERE position = ?",
        (call.now + call.effect_delay_seconds, row["position"]),
    )
    connection.execute("DELETE FROM playback_key_pairs WHERE edge_until <= ?", (call.now,))
    delete_all_tags(connection, row["arn"])
    return {}


def find_key_pair(call: Call, arn: str) -> sqlite3.Row:
    """The key pair's row; raises the errors of `lookup.find`."""
    query = (
        "SELECT * FROM playback_key_pairs"
        " WHERE arn = :arn AND region = :region AND account_id = :account_id"
        " AND edge_until IS NULL"
    )
    return find(call, query, arn)


def _key_pair(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "arn": row["arn"],
        "name": row["name"],
        "fingerprint": row["fingerprint"],
        "tags": tags_of(call.connection, row["arn"]),
    }
