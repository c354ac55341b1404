from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tokensvc.localivs.edge.verifier import signed_by

VECTORS = (
    Path(__file__).resolve().parents[4]
    / "shared"
    / "vectors"
    / "ecdsa_secp384r1_sha384_p1363_test.json"
)


def test_the_verifier_judges_each_of_the_280_hostile_and_valid_signatures_right() -> None:
    """Wycheproof's P-384, SHA-384 vectors with r and s side by side: 280, not one judged wrong."""
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip(f"The Wycheproof vectors aren't at {VECTORS}; under CI they have to be.")
    wrong = []
    judged = 0
    for group in json.loads(VECTORS.read_text("utf-8"))["testGroups"]:
        key = ECKey.import_key(group["publicKeyPem"])
        for test in group["tests"]:
            verdict = signed_by(key, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            judged += 1
            if verdict is not (test["result"] == "valid"):
                wrong.append((test["tcId"], test["comment"]))
    assert wrong == []
    assert judged == 280
