"""Key pairs over boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from example_key import FINGERPRINT, PUBLIC_KEY
from local_ivs.edge_reader import EdgeReader
from local_ivs.testing import LocalIvsServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import ManualClock


def pem(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    """The key in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem() -> str:
    """A P-384 private key."""
    key = ec.generate_private_key(ec.SECP384R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def edge_keys(server: LocalIvsServer, clock: ManualClock) -> tuple[str, ...]:
    """The public keys that the playback edge accepts."""
    reader = EdgeReader(server.database)
    return reader.public_keys("us-west-2", "123456789012", clock.now())


def test_the_fingerprint_is_the_md5_of_the_der(ivs: IVSClient) -> None:
    """The response has ARN, name, fingerprint and tags, but not the key."""
    key_pair = ivs.import_playback_key_pair(
        publicKeyMaterial=PUBLIC_KEY, name="first", tags={"team": "video"}
    )["keyPair"]
    arn = key_pair["arn"]
    assert arn.startswith("arn:aws:ivs:us-west-2:123456789012:playback-key/")
    assert key_pair == {
        "arn": arn,
        "name": "first",
        "fingerprint": FINGERPRINT,
        "tags": {"team": "video"},
    }
    assert ivs.get_playback_key_pair(arn=arn)["keyPair"] == key_pair


@pytest.mark.parametrize(
    "text",
    [
        PUBLIC_KEY.rstrip("\n"),
        PUBLIC_KEY.replace("\n", "\r\n"),
        "\n" + PUBLIC_KEY + "\n",
    ],
    ids=["no last newline", "CRLF", "blank lines around"],
)
def test_line_endings_do_not_matter(ivs: IVSClient, text: str) -> None:
    """The same key with other line endings has the same fingerprint."""
    key_pair = ivs.import_playback_key_pair(publicKeyMaterial=text)["keyPair"]
    assert key_pair["fingerprint"] == FINGERPRINT


BODY = "".join(PUBLIC_KEY.splitlines()[1:-1])


@pytest.mark.parametrize(
    "material",
    [
        "",
        "not a key",
        BODY,
        PUBLIC_KEY + "junk",
        "junk\n" + PUBLIC_KEY,
        PUBLIC_KEY + PUBLIC_KEY,
        PUBLIC_KEY.replace("MHYwEAYH", "AAAAAAAA"),
        PUBLIC_KEY.replace("DPV", "DP"),
        PUBLIC_KEY.replace(BODY[:64], BODY[:64] + "===="),
        PUBLIC_KEY.replace("PUBLIC KEY", "EC PUBLIC KEY"),
        private_pem(),
        private_pem() + PUBLIC_KEY,
        pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        pem(rsa.generate_private_key(65537, 2048).public_key()),
    ],
    ids=[
        "empty",
        "text",
        "base64 without PEM lines",
        "junk after",
        "junk before",
        "two keys",
        "damaged DER",
        "damaged base64",
        "padding inside",
        "another label",
        "private key",
        "private key first",
        "P-256",
        "RSA",
    ],
)
def test_only_one_p384_public_key_is_accepted(ivs: IVSClient, material: str) -> None:
    """Otherwise ValidationException, and nothing is imported; a valid key is accepted next."""
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.import_playback_key_pair(publicKeyMaterial=material)
    assert ivs.list_playback_key_pairs()["keyPairs"] == []
    assert ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]


def test_importing_a_duplicate_key_is_a_conflict(ivs: IVSClient) -> None:
    """In the same account and region, under any name."""
    ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY, name="a")
    with pytest.raises(ivs.exceptions.ConflictException) as caught:
        ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY, name="b")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(ivs.list_playback_key_pairs()["keyPairs"]) == 1


def test_a_deleted_key_can_be_imported_again_as_a_new_pair(ivs: IVSClient) -> None:
    """Only existing key pairs conflict."""
    first = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    ivs.delete_playback_key_pair(arn=first)
    second = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    assert first != second


def test_a_fourth_pair_exceeds_the_quota(ivs: IVSClient, new_public_key: Callable[[], str]) -> None:
    """402 with three pairs; after a delete, the import succeeds."""
    arns = [
        ivs.import_playback_key_pair(publicKeyMaterial=new_public_key())["keyPair"]["arn"]
        for _ in range(3)
    ]
    with pytest.raises(ivs.exceptions.ServiceQuotaExceededException) as caught:
        ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    ivs.delete_playback_key_pair(arn=arns[1])
    fourth = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    listed = [pair["arn"] for pair in ivs.list_playback_key_pairs()["keyPairs"]]
    assert listed == [arns[0], arns[2], fourth]


def test_regions_and_accounts_do_not_share_pairs(server: LocalIvsServer) -> None:
    """The same key in another region or account is another pair, which is invisible here."""
    here = server.client("us-west-2", "123456789012")
    others = [
        server.client("eu-west-1", "123456789012"),
        server.client("us-west-2", "210987654321"),
    ]
    arn = here.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    for client in others:
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_playback_key_pair(arn=arn)
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.delete_playback_key_pair(arn=arn)
        other = client.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
        assert [pair["arn"] for pair in client.list_playback_key_pairs()["keyPairs"]] == [other]
    assert [pair["arn"] for pair in here.list_playback_key_pairs()["keyPairs"]] == [arn]


def test_listings_have_no_fingerprints_and_are_paged(
    ivs: IVSClient, new_public_key: Callable[[], str]
) -> None:
    """Pages of one contain each pair once, in order of import."""
    arns = [
        ivs.import_playback_key_pair(publicKeyMaterial=new_public_key(), name=name)["keyPair"][
            "arn"
        ]
        for name in ("a", "b", "c")
    ]
    assert ivs.list_playback_key_pairs()["keyPairs"] == [
        {"arn": arn, "name": name, "tags": {}} for arn, name in zip(arns, "abc", strict=True)
    ]
    first = ivs.list_playback_key_pairs(maxResults=1)
    second = ivs.list_playback_key_pairs(maxResults=1, nextToken=first["nextToken"])
    third = ivs.list_playback_key_pairs(maxResults=1, nextToken=second["nextToken"])
    pages = [first, second, third]
    assert [pair["arn"] for page in pages for pair in page["keyPairs"]] == arns
    assert "nextToken" not in third


def test_deletes_between_pages_skip_no_pair(
    ivs: IVSClient, new_public_key: Callable[[], str]
) -> None:
    """The next page starts after the last listed pair, even if that pair was deleted."""
    arns = [
        ivs.import_playback_key_pair(publicKeyMaterial=new_public_key())["keyPair"]["arn"]
        for _ in range(3)
    ]
    first = ivs.list_playback_key_pairs(maxResults=1)
    ivs.delete_playback_key_pair(arn=arns[0])
    rest = ivs.list_playback_key_pairs(nextToken=first["nextToken"])["keyPairs"]
    assert [pair["arn"] for pair in rest] == arns[1:]


def test_a_deleted_pair_is_not_found(ivs: IVSClient) -> None:
    """Get and a second delete return 404."""
    arn = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    ivs.delete_playback_key_pair(arn=arn)
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.get_playback_key_pair(arn=arn)
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.delete_playback_key_pair(arn=arn)


def test_import_and_delete_reach_the_edge_at_once_by_default(
    server: LocalIvsServer, ivs: IVSClient, clock: ManualClock
) -> None:
    """The edge accepts exactly the imported keys."""
    arn = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    assert edge_keys(server, clock) == (PUBLIC_KEY,)
    ivs.delete_playback_key_pair(arn=arn)
    assert edge_keys(server, clock) == ()


def test_without_delay_moving_the_clock_back_does_not_change_the_keys_of_the_edge(
    server: LocalIvsServer, ivs: IVSClient, clock: ManualClock
) -> None:
    """One hour back: the imported key is still accepted, and the deleted one still isn't."""
    arn = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
    clock.advance(-3600)
    assert edge_keys(server, clock) == (PUBLIC_KEY,)
    ivs.delete_playback_key_pair(arn=arn)
    clock.advance(-3600)
    assert edge_keys(server, clock) == ()


def test_import_and_delete_reach_the_edge_after_the_configured_delay(
    tmp_path: Path, clock: ManualClock
) -> None:
    """After 30 s; the API returns the new state at once."""
    with LocalIvsServer(tmp_path, clock, effect_delay_seconds=30) as server:
        ivs = server.client()
        arn = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY)["keyPair"]["arn"]
        assert ivs.get_playback_key_pair(arn=arn)["keyPair"]["arn"] == arn
        clock.advance(29)
        assert edge_keys(server, clock) == ()
        clock.advance(1)
        assert edge_keys(server, clock) == (PUBLIC_KEY,)
        ivs.delete_playback_key_pair(arn=arn)
        assert ivs.list_playback_key_pairs()["keyPairs"] == []
        clock.advance(29)
        assert edge_keys(server, clock) == (PUBLIC_KEY,)
        clock.advance(1)
        assert edge_keys(server, clock) == ()
