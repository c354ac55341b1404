from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.documents import some_document
from tokensvc.access.api_key_text import text_of
from tokensvc.access.api_keys import (
    ApiKey,
    ApiKeys,
    as_restored,
    authenticate,
    confirm,
    create,
    revoke,
    rotate,
)
from tokensvc.access.callers import Caller
from tokensvc.errors import (
    InvalidRequest,
    NotFound,
    SchemaUnsupported,
    StateDamaged,
    Unauthenticated,
)
from tokensvc.state.base import Document

NOW = 1_800_000_000.0
ZEROS = "tsk_000000000000_" + 64 * "0"
"""The text of a key whose random bytes are all zero, without its checksum."""
CHECKSUM_OF_ZEROS = "_9e517828"


def zeros(count: int) -> bytes:
    """That many zero bytes."""
    return bytes(count)


def one_key() -> tuple[ApiKeys, str]:
    """The API keys of a deployment with one key, and the text of that key."""
    return create(ApiKeys(), name="backend", grants=("demo",), now=NOW)


def with_other_secret(text: str) -> str:
    """The text of a key with that ID and another secret."""
    _, key_id, _, _ = text.split("_")
    return text_of(key_id, 64 * "e")


def document(body: object) -> Document:
    """A stored document with that JSON."""
    return some_document(json.dumps(body))


def stored(**changes: object) -> dict[str, object]:
    """The JSON of one stored key, with changes."""
    key = {
        "key_id": "00000000000a",
        "name": "backend",
        "grants": ["demo"],
        "created_at": NOW,
        "secret_sha256": 64 * "a",
    }
    return key | changes


def test_a_key_has_the_documented_form() -> None:
    """`tsk_`, 12 characters of ID, 64 of secret, and 8 of CRC-32 over all that."""
    _, text = one_key()
    match = re.fullmatch(r"(tsk_[0-9a-f]{12}_[0-9a-f]{64})_([0-9a-f]{8})", text)
    assert match is not None
    assert int(match[2], 16) == binascii.crc32(match[1].encode())


def test_a_new_key_authenticates_its_caller() -> None:
    """The caller has the key's ID, its name and its grants in order."""
    keys, text = create(ApiKeys(), name="backend", grants=("b", "a"), now=NOW, random_bytes=zeros)
    assert text == ZEROS + CHECKSUM_OF_ZEROS
    assert authenticate(keys, text, NOW) == Caller("000000000000", "backend", ("b", "a"))


def test_each_of_several_keys_authenticates_its_own_caller() -> None:
    """No key is confused with another."""
    keys, first = create(ApiKeys(), name="first", grants=("a",), now=NOW)
    keys, second = create(keys, name="second", grants=("b",), now=NOW)
    assert authenticate(keys, first, NOW).name == "first"
    assert authenticate(keys, second, NOW).name == "second"


def test_the_document_holds_the_digest_and_not_the_secret() -> None:
    """SHA-256 of the secret's text is stored; the secret is nowhere in the document."""
    keys, text = one_key()
    secret = text.split("_")[2]
    assert secret not in keys.encode()
    assert keys.keys[0].secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()


def test_a_key_id_is_never_used_for_two_keys() -> None:
    """When the random ID exists already, another ID is generated."""
    draws = iter([bytes(6), bytes(32), bytes(6), b"\x01" * 6, b"\x02" * 32])
    keys, _ = create(
        ApiKeys(), name="first", grants=("a",), now=NOW, random_bytes=lambda _: next(draws)
    )
    keys, text = create(
        keys, name="second", grants=("a",), now=NOW, random_bytes=lambda _: next(draws)
    )
    assert text.startswith("tsk_010101010101_" + 32 * "02" + "_")
    assert [key.key_id for key in keys.keys] == ["000000000000", "010101010101"]


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "tsk_",
        "tsk__",
        ZEROS[:-1],
        ZEROS + "0",
        ZEROS + "\n",
        " " + ZEROS,
        ZEROS.upper(),
        ZEROS.replace("tsk_", "tsq_"),
        ZEROS[:-1] + "1",
        "tsk_000000000001_" + 64 * "0",
        ZEROS + CHECKSUM_OF_ZEROS[:-1] + "3",
        ZEROS + CHECKSUM_OF_ZEROS.upper(),
        ZEROS + CHECKSUM_OF_ZEROS + "\n",
        "tsk_\u066000000000000_" + 64 * "0",
        "\u00fcn\u00efcode",
    ],
)
def test_an_invalid_api_key_is_refused(presented: str) -> None:
    """Malformed texts, unknown IDs and wrong secrets get the same error."""
    keys, _ = create(ApiKeys(), name="backend", grants=("demo",), now=NOW, random_bytes=zeros)
    unknown_id = "tsk_ffffffffffff_" + 64 * "0"
    refusals = []
    for text in (presented, unknown_id):
        with pytest.raises(Unauthenticated) as refusal:
            authenticate(keys, text, NOW)
        refusals.append((refusal.value.detail, refusal.value.hint))
    assert refusals[0] == refusals[1]
    assert "`tokensvc api-keys create`" in refusals[0][1]


def test_a_restored_key_authenticates_again_when_it_is_confirmed() -> None:
    """Until then its client gets the error of an unknown key; the operator's log has its ID."""
    keys, text = one_key()
    keys, other = create(keys, name="other", grants=("demo",), now=NOW)
    restored = as_restored(keys)
    refusals = []
    for presented in (text, ZEROS):
        with pytest.raises(Unauthenticated) as refusal:
            authenticate(restored, presented, NOW)
        refusals.append(refusal.value)
    assert (refusals[0].detail, refusals[0].hint) == (refusals[1].detail, refusals[1].hint)
    assert [refusal.key_id for refusal in refusals] == [keys.find("backend").key_id, None]

    confirmed = confirm(restored, [restored.find("backend")])

    assert authenticate(confirmed, text, NOW).name == "backend"
    assert [key.name for key in confirmed.unconfirmed] == ["other"]
    with pytest.raises(Unauthenticated):
        authenticate(confirmed, other, NOW)


def test_a_wrong_secret_does_not_name_the_restored_key() -> None:
    """Whoever knows only the ID must not fill the log with it."""
    keys, text = one_key()
    with pytest.raises(Unauthenticated) as refusal:
        authenticate(as_restored(keys), with_other_secret(text), NOW)
    assert refusal.value.key_id is None


def test_keys_that_need_confirmation_are_stored_so_and_others_as_before() -> None:
    """The member is left out where no key needs it, for releases that do not know it."""
    keys, _ = one_key()
    assert "needs_confirmation" not in keys.encode()
    restored = as_restored(keys)
    assert ApiKeys.decode(some_document(restored.encode())) == restored


def test_no_key_authenticates_when_the_document_is_empty() -> None:
    """Not even a key with the digest that stands in for a missing secret."""
    with pytest.raises(Unauthenticated):
        authenticate(ApiKeys(), ZEROS, NOW)


@given(position=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
def test_a_secret_with_one_changed_digit_is_refused(position: int, digit: str) -> None:
    """Every digit of the secret is compared."""
    keys, text = create(ApiKeys(), name="backend", grants=("demo",), now=NOW, random_bytes=zeros)
    _, key_id, secret, _ = text.split("_")
    head = f"tsk_{key_id}_"
    changed = secret[:position] + digit + secret[position + 1 :]
    if changed == secret:
        assert authenticate(keys, head + changed, NOW).name == "backend"
    else:
        with pytest.raises(Unauthenticated):
            authenticate(keys, head + changed, NOW)


@pytest.mark.parametrize(
    ("name", "grants", "rules"),
    [
        ("", ("a",), {"name_form"}),
        (65 * "n", ("a",), {"name_form"}),
        ("two\nlines", ("a",), {"name_form"}),
        (" padded", ("a",), {"name_form"}),
        ("backend", ("a",), {"name_taken"}),
        ("000000000000", ("a",), {"name_like_id"}),
        ("ABCDEF012345", ("a",), {"name_like_id"}),
        ("tsk_000000000000", ("a",), {"name_like_id"}),
        ("TSK_000000000000", ("a",), {"name_like_id"}),
        (64 * "f", ("a",), {"name_like_id"}),
        ("other", (), {"grants_missing"}),
        ("", (), {"name_form", "grants_missing"}),
    ],
)
def test_an_invalid_new_key_is_refused(name: str, grants: tuple[str, ...], rules: set[str]) -> None:
    """All problems are reported at once."""
    keys, _ = one_key()
    with pytest.raises(InvalidRequest) as refusal:
        create(keys, name=name, grants=grants, now=NOW)
    assert {problem.rule for problem in refusal.value.problems} == rules


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_who_names_a_key_by_its_text_gets_its_id_and_never_its_secret(
    case: Callable[[str], str],
) -> None:
    """The text is what leaked, and what an operator has at hand then."""
    keys, text = one_key()
    with pytest.raises(NotFound) as refusal:
        revoke(keys, case(text))
    shown = f"{refusal.value.detail} {refusal.value.hint}".lower()
    assert keys.keys[0].key_id in shown
    assert text.split("_")[2] not in shown


def test_a_bare_secret_is_not_repeated() -> None:
    """It has no ID to print."""
    keys, text = one_key()
    with pytest.raises(NotFound) as refusal:
        revoke(keys, text.split("_")[2])
    assert text.split("_")[2] not in refusal.value.detail


# --- Expiry and rotation


def test_a_key_from_before_the_checksum_stays_valid() -> None:
    """Its text has none."""
    keys, _ = create(ApiKeys(), name="backend", grants=("demo",), now=NOW, random_bytes=zeros)
    assert authenticate(keys, ZEROS, NOW).name == "backend"


def test_a_key_ends_when_it_expires() -> None:
    """Who has its secret gets to know why; the log has its ID."""
    keys, text = create(ApiKeys(), name="backend", grants=("demo",), now=NOW, expires_at=NOW + 60)
    assert authenticate(keys, text, NOW + 59).name == "backend"
    with pytest.raises(Unauthenticated, match="expired") as refusal:
        authenticate(keys, text, NOW + 60)
    assert refusal.value.key_id == keys.keys[0].key_id
    with pytest.raises(Unauthenticated) as refusal:
        authenticate(keys, with_other_secret(text), NOW + 60)
    assert "expired" not in refusal.value.detail
    assert refusal.value.key_id is None
    with pytest.raises(InvalidRequest):  # A new secret would be refused too.
        rotate(keys, keys.keys[0], now=NOW + 60, overlap_seconds=60)


def test_after_a_rotation_both_secrets_are_valid_for_the_overlap() -> None:
    """They authenticate the same caller, with the same ID and grants."""
    keys, old = one_key()
    keys, new = rotate(keys, keys.keys[0], now=NOW, overlap_seconds=60)
    assert new != old
    assert authenticate(keys, old, NOW + 59) == authenticate(keys, new, NOW + 59)
    with pytest.raises(Unauthenticated):
        authenticate(keys, old, NOW + 60)
    assert authenticate(keys, new, NOW + 60).name == "backend"


def test_at_most_two_secrets_are_valid() -> None:
    """A second rotation ends the secret before the first one. Without an overlap, one is valid."""
    keys, first = one_key()
    keys, second = rotate(keys, keys.keys[0], now=NOW, overlap_seconds=60)
    keys, third = rotate(keys, keys.keys[0], now=NOW + 1, overlap_seconds=60)
    with pytest.raises(Unauthenticated):
        authenticate(keys, first, NOW + 1)
    assert authenticate(keys, second, NOW + 1) == authenticate(keys, third, NOW + 1)
    keys, fourth = rotate(keys, keys.keys[0], now=NOW + 2, overlap_seconds=0)
    with pytest.raises(Unauthenticated):
        authenticate(keys, third, NOW + 2)
    assert authenticate(keys, fourth, NOW + 2).name == "backend"


def test_a_rotation_changes_no_other_key() -> None:
    """And leaves the order of the keys."""
    keys, text = one_key()
    keys, other = create(keys, name="other", grants=("demo",), now=NOW)
    rotated, _ = rotate(keys, keys.keys[0], now=NOW, overlap_seconds=0)
    assert rotated.keys[1] == keys.keys[1]
    assert authenticate(rotated, other, NOW).name == "other"
    assert text.split("_")[1] == rotated.keys[0].key_id


def test_an_end_is_stored_in_the_current_schema_only() -> None:
    """The previous release would refuse a document with it, or ignore the end."""
    keys, _ = one_key()
    assert "previous" not in keys.encode()
    assert "expires_at" not in keys.encode()
    expiring, _ = create(keys, name="other", grants=("demo",), now=NOW, expires_at=NOW + 60)
    rotated, _ = rotate(keys, keys.keys[0], now=NOW, overlap_seconds=60)
    for changed in (expiring, rotated):
        assert ApiKeys.decode(some_document(changed.encode())) == changed
        with pytest.raises(InvalidRequest) as refusal:
            changed.encode(1)
        assert "`tokensvc state upgrade`" in refusal.value.hint


def test_revoking_by_id_removes_that_key_only() -> None:
    """Even if another key, of an earlier release, has this ID as its name."""
    keys = ApiKeys.decode(
        document(
            {
                "schema_version": 1,
                "keys": [stored(), stored(key_id="00000000000b", name="00000000000a")],
            }
        )
    )
    assert [key.key_id for key in revoke(keys, "00000000000a").keys] == ["00000000000b"]


def test_a_document_reads_as_it_was_written() -> None:
    """Encoding and decoding give the same keys, and the key still authenticates."""
    keys, text = one_key()
    again = ApiKeys.decode(some_document(keys.encode()))
    assert again == keys
    assert authenticate(again, text, NOW).name == "backend"


def test_a_document_that_was_never_saved_has_no_keys() -> None:
    """None is decoded to no keys."""
    assert ApiKeys.decode(None).keys == ()


def test_a_document_of_the_stored_format_is_read() -> None:
    """The document is written by hand: the stored format does not change."""
    keys = ApiKeys.decode(document({"schema_version": 1, "keys": [stored()]}))
    assert keys.keys == (ApiKey("00000000000a", "backend", ("demo",), NOW, 64 * "a"),)


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {},
        {"schema_version": 1},
        {"schema_version": "1", "keys": []},
        {"schema_version": 1, "keys": {}},
        {"schema_version": 1, "keys": [], "more": 1},
        {"schema_version": 1, "keys": [stored(key_id="xyz")]},
        {"schema_version": 1, "keys": [stored(secret_sha256=None)]},
        {"schema_version": 1, "keys": [stored(grants="demo")]},
        {"schema_version": 1, "keys": [stored(plain_secret="x")]},
        {"schema_version": 1, "keys": [stored(), stored(name="duplicate")]},
    ],
)
def test_a_damaged_document_is_refused(body: object) -> None:
    """The error has a hint; the reader does not guess what an invalid document means."""
    with pytest.raises(StateDamaged) as refusal:
        ApiKeys.decode(document(body))
    assert refusal.value.hint


@given(st.text())
def test_any_text_is_read_or_refused_as_damaged(body: str) -> None:
    """No text causes another exception."""
    try:
        ApiKeys.decode(some_document(body))
    except StateDamaged:
        return


def test_a_document_of_a_newer_release_is_refused_with_a_hint() -> None:
    """The error names both schema versions; the other members are not read."""
    with pytest.raises(SchemaUnsupported) as refusal:
        ApiKeys.decode(document({"schema_version": 3, "keys": "in another form"}))
    assert sorted(re.findall(r"\d+", refusal.value.detail)) == ["1", "2", "3"]
    assert refusal.value.hint
