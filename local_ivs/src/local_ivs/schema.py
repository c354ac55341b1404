"""The tables of the control plane. `position` gives listings a stable order for paging."""

from __future__ import annotations

CONTROL_PLANE = """
CREATE TABLE IF NOT EXISTS channels (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    arn TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    account_id TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    srt_passphrase TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON: the members of the model's Channel that a caller can set
    authorized INTEGER NOT NULL AS (json_extract(settings, '$.authorized')),
    UNIQUE (region, account_id, channel_id)
) STRICT;

CREATE TABLE IF NOT EXISTS streams ( -- one row for each channel that is live
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_arn TEXT NOT NULL UNIQUE REFERENCES channels (arn) ON DELETE CASCADE,
    stream_id TEXT NOT NULL,
    started_at REAL NOT NULL, -- Unix seconds
    health TEXT NOT NULL -- botocore model: StreamHealth
) STRICT;

CREATE TABLE IF NOT EXISTS ended_streams ( -- the end of each channel's last stream that ended
    channel_arn TEXT PRIMARY KEY REFERENCES channels (arn) ON DELETE CASCADE,
    ended_at REAL NOT NULL -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS timed_metadata ( -- what PutMetadata put into each channel's last stream
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_arn TEXT NOT NULL REFERENCES channels (arn) ON DELETE CASCADE,
    put_at REAL NOT NULL, -- Unix seconds
    metadata TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS stream_keys (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    arn TEXT NOT NULL UNIQUE,
    channel_arn TEXT NOT NULL REFERENCES channels (arn) ON DELETE CASCADE,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS playback_key_pairs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    arn TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key_pem TEXT NOT NULL,
    edge_from REAL NOT NULL, -- Unix seconds: when the edge accepts the key; 0 without delay
    edge_until REAL -- Unix seconds: when the edge stops accepting it; null until deleted
) STRICT;

CREATE TABLE IF NOT EXISTS tags (
    resource_arn TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (resource_arn, key)
) STRICT, WITHOUT ROWID;
"""
