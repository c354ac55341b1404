from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from local_ivs.edge.verifier import is_valid_signature

VECTORS = (
    Path(__file__).resolve().parents[4]
    / "shared"
    / "vectors"
    / "ecdsa_secp384r1_sha384_p1363_test.json"
)


def test_the_verifier_is_right_about_all_280_wycheproof_signatures() -> None:
    """Wycheproof's vectors for P-384 and SHA-384 with signatures in the format r then s."""
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip(f"The Wycheproof vectors are not at {VECTORS}. Under CI they are required.")
    wrong = []
    checked = 0
    for group in json.loads(VECTORS.read_text("utf-8"))["testGroups"]:
        key = ECKey.import_key(group["publicKeyPem"])
        for test in group["tests"]:
            is_valid = is_valid_signature(
                key, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            )
            checked += 1
            if is_valid is not (test["result"] == "valid"):
                wrong.append((test["tcId"], test["comment"]))
    assert wrong == []
    assert checked == 280
