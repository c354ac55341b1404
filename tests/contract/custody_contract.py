"""The tests that every custody must pass, wherever it stores private keys.

The test module of a custody subclasses `CustodyContract`, overrides the fixture `open_custody`, and
sets the class attributes where its guarantees are weaker than the defaults. A loader without a
custody's other methods subclasses `LoadingContract`.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import (
    CustodyDamaged,
    CustodyUnavailable,
    InvalidKeyMaterial,
    InvalidSignature,
    KeyDestroyed,
    TokensvcError,
)
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.signers import SignerLoader, StoredKey
from tokensvc.token.p384 import PublicKey

OpenCustody = Callable[[], Custody]
OpenLoader = Callable[[], SignerLoader]
MESSAGE = b"header.payload"


class LoadingContract:
    """What every `SignerLoader` must pass. Subclass it, and override both `open_` fixtures."""

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each call opens the same custody, as another process would. It is empty at first."""
        raise NotImplementedError

    @pytest.fixture
    def open_loader(self) -> OpenLoader:
        """Each call opens the tested loader on the private keys of that custody."""
        raise NotImplementedError

    def never_created(self, created: StoredKey) -> StoredKey:
        """The record of a private key `k-2` that the custody of `created` has never had."""
        return StoredKey("k-2", created.public_key)

    @pytest.fixture
    def custody(self, open_custody: OpenCustody) -> Custody:
        """One custody, for tests that need only one."""
        return open_custody()

    @pytest.fixture
    def loader(self, open_loader: OpenLoader) -> SignerLoader:
        """One loader, for tests that need only one."""
        return open_loader()

    def test_a_signature_has_96_bytes_and_verifies_with_that_key_only(
        self, open_custody: OpenCustody, open_loader: OpenLoader
    ) -> None:
        """A key pair that one process created signs in another process."""
        key = open_custody().create("k-1")
        other = open_custody().create("k-2")
        signer = open_loader().signer(key)
        assert signer.public_key == key.public_key
        signature = signer.sign(MESSAGE)
        assert len(signature) == 96
        key.public_key.verify(signature, MESSAGE)
        with pytest.raises(InvalidSignature):
            other.public_key.verify(signature, MESSAGE)
        with pytest.raises(InvalidSignature):
            key.public_key.verify(signature, MESSAGE + b".")

    def test_threads_share_one_signer(self, custody: Custody, loader: SignerLoader) -> None:
        """A worker has one signer for all its threads."""
        key = custody.create("k-1")
        signer = loader.signer(key)

        def sign(number: int) -> None:
            message = b"%d" % number
            key.public_key.verify(signer.sign(message), message)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(sign, range(30)))

    def test_a_key_pair_that_was_never_created_has_no_signer(
        self, custody: Custody, loader: SignerLoader
    ) -> None:
        """The error for a missing private key names its ID and has a hint."""
        never_created = self.never_created(custody.create("k-1"))
        assert never_created.key_id == "k-2"
        with pytest.raises(CustodyDamaged, match="k-2") as refusal:
            loader.signer(never_created)
        assert refusal.value.hint

    def test_a_private_key_of_another_public_key_does_not_sign(
        self, custody: Custody, loader: SignerLoader
    ) -> None:
        """IVS holds the recorded public key, so it would refuse tokens signed by any other."""
        mine, other = custody.create("k-1"), custody.create("k-2")
        with pytest.raises(CustodyDamaged) as refusal:
            loader.signer(dataclasses.replace(mine, public_key=other.public_key))
        assert mine.public_key.fingerprint in refusal.value.detail
        assert other.public_key.fingerprint in refusal.value.detail
        assert loader.signer(mine).public_key == mine.public_key

    def test_an_invalid_key_id_has_no_signer(self, custody: Custody, loader: SignerLoader) -> None:
        """A name that leaves the folder is refused before anything is read."""
        key = custody.create("k-1")
        with pytest.raises(CustodyDamaged, match=re.escape(repr("../k"))):
            loader.signer(dataclasses.replace(key, key_id="../k"))

    def test_errors_contain_no_private_key_bytes(
        self, custody: Custody, loader: SignerLoader
    ) -> None:
        """No error text of a custody or a loader contains a private key."""
        mine, other = custody.create("k-1"), custody.create("k-2")
        with pytest.raises(CustodyDamaged) as refusal:
            loader.signer(dataclasses.replace(mine, public_key=other.public_key))
        assert "PRIVATE" not in str(refusal.value)
        assert mine != other


class CustodyContract(LoadingContract):
    """Subclass it, and override `open_custody`. A custody is also a loader."""

    can_adopt: ClassVar[bool] = True
    """False when the custody can't store a private key that was generated elsewhere."""

    destroyed_within_seconds: ClassVar[float] = 0.0
    """How long a destroyed private key that is not compromised may still be stored at most."""

    compromised_destroyed_within_seconds: ClassVar[float] = 0.0
    """The same for a compromised private key."""

    remembers_compromised: ClassVar[bool] = True
    """False when the ID of a compromised private key can be used again once it is destroyed."""

    def now(self) -> float:
        """The time by the custody's clock: `EXAMPLE_NOW`, unless a class overrides it."""
        return EXAMPLE_NOW

    @pytest.fixture
    def open_loader(self, open_custody: OpenCustody) -> OpenLoader:
        """The custody itself."""
        return open_custody

    # --- Creating

    def test_an_empty_custody_has_no_key_ids(self, custody: Custody) -> None:
        """No key pair was created, so none is listed."""
        assert tuple(custody.key_ids()) == ()

    def test_creating_the_same_id_again_returns_the_same_public_key(
        self, open_custody: OpenCustody
    ) -> None:
        """Every step can be repeated, also by another process."""
        first = open_custody().create("k-1")
        assert open_custody().create("k-1") == first
        assert tuple(open_custody().key_ids()) == ("k-1",)

    def test_each_id_has_a_key_pair_of_its_own(self, custody: Custody) -> None:
        """Two IDs never share a private key."""
        public_keys = {custody.create(key_id).public_key for key_id in ("k-1", "k-2", "k-3")}
        assert len(public_keys) == 3
        assert sorted(custody.key_ids()) == ["k-1", "k-2", "k-3"]

    def test_threads_that_create_the_same_id_at_once_get_one_key_pair(
        self, open_custody: OpenCustody
    ) -> None:
        """The first thread creates it, and the others read it."""
        together = threading.Barrier(6, timeout=30)

        def create(_: int) -> StoredKey:
            custody = open_custody()
            together.wait()
            return custody.create("k-1")

        with ThreadPoolExecutor(6) as pool:
            keys = set(pool.map(create, range(6)))
        assert len(keys) == 1
        open_custody().signer(keys.pop())

    @pytest.mark.parametrize("key_id", ["", "../k", "K-1", "k_1", "k/1", "k" * 65, "k\n"])
    def test_an_invalid_key_id_is_refused_by_every_method(
        self, custody: Custody, key_id: str
    ) -> None:
        """An ID is 1 to 64 of a-z, 0-9 and '-', so that every custody can use it as a name."""
        key = custody.create("k-1")
        with pytest.raises(CustodyDamaged, match=re.escape(repr(key_id))):
            custody.create(key_id)
        with pytest.raises(CustodyDamaged, match=re.escape(repr(key_id))):
            custody.signer(dataclasses.replace(key, key_id=key_id))
        with pytest.raises(CustodyDamaged, match=re.escape(repr(key_id))):
            custody.destroy(key_id, compromised=False)
        assert tuple(custody.key_ids()) == ("k-1",)

    # --- Adopting

    def test_an_adopted_private_key_signs(self, open_custody: OpenCustody) -> None:
        """It works like a created one. A custody that can't adopt refuses with a hint."""
        private_key = ec.generate_private_key(ec.SECP384R1())
        expected = PublicKey.of(private_key.public_key())
        if not self.can_adopt:
            with pytest.raises(CustodyUnavailable) as refusal:
                open_custody().adopt("k-1", private_key)
            assert refusal.value.hint
            return
        adopted = open_custody().adopt("k-1", private_key)
        assert adopted.public_key == expected
        assert open_custody().adopt("k-1", private_key) == adopted
        assert open_custody().create("k-1") == adopted
        expected.verify(open_custody().signer(adopted).sign(MESSAGE), MESSAGE)

    def test_adopting_over_another_private_key_is_refused_and_changes_nothing(
        self, custody: Custody
    ) -> None:
        """A private key is never replaced by another."""
        mine = custody.create("k-1")
        with pytest.raises(TokensvcError) as refusal:
            custody.adopt("k-1", ec.generate_private_key(ec.SECP384R1()))
        expected = CustodyDamaged if self.can_adopt else CustodyUnavailable
        assert isinstance(refusal.value, expected)
        mine.public_key.verify(custody.signer(mine).sign(MESSAGE), MESSAGE)

    def test_a_private_key_of_another_curve_is_not_adopted(self, custody: Custody) -> None:
        """IVS accepts only P-384, and so does a custody."""
        with pytest.raises((InvalidKeyMaterial, CustodyUnavailable)):
            custody.adopt("k-1", ec.generate_private_key(ec.SECP256R1()))
        assert tuple(custody.key_ids()) == ()

    # --- Destroying

    @pytest.mark.parametrize("compromised", [False, True], ids=["retired", "compromised"])
    def test_a_destroyed_private_key_is_unusable_at_once_and_deleted_in_time(
        self, open_custody: OpenCustody, *, compromised: bool
    ) -> None:
        """Rule 8: unusable now, deleted at the returned time; other private keys stay."""
        destroyed, remaining = open_custody().create("k-1"), open_custody().create("k-2")
        begun_at = self.now()
        destroyed_at = open_custody().destroy(
            "k-1", handle=destroyed.handle, compromised=compromised
        )
        max_seconds = (
            self.compromised_destroyed_within_seconds
            if compromised
            else self.destroyed_within_seconds
        )
        assert begun_at - 1 <= destroyed_at <= begun_at + max_seconds  # AWS's dates are in seconds.
        custody = open_custody()
        with pytest.raises(CustodyDamaged):
            custody.signer(destroyed)
        assert tuple(custody.key_ids()) == ("k-2",)
        remaining.public_key.verify(custody.signer(remaining).sign(MESSAGE), MESSAGE)

    @pytest.mark.parametrize("compromised", [False, True], ids=["retired", "compromised"])
    def test_a_destroyed_private_key_is_never_created_again(
        self, open_custody: OpenCustody, *, compromised: bool
    ) -> None:
        """A crash after the destruction repeats the step, which must not generate a new one."""
        open_custody().create("k-1")
        open_custody().destroy("k-1", compromised=compromised)
        if compromised and not self.remembers_compromised:
            return
        with pytest.raises(KeyDestroyed, match="k-1") as refusal:
            open_custody().create("k-1")
        assert refusal.value.hint
        assert tuple(open_custody().key_ids()) == ()

    def test_destroying_again_or_an_unknown_id_has_no_effect(self, custody: Custody) -> None:
        """Every step can be repeated."""
        custody.create("k-1")
        custody.destroy("k-1", compromised=False)
        custody.destroy("k-1", compromised=True)
        custody.destroy("k-2", compromised=False)
        assert tuple(custody.key_ids()) == ()
