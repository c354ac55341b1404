"""What every custody must do, wherever the private halves are.

A custody's own test module subclasses `CustodyContract`, overrides the fixture `open_custody`, and
says in the class attributes where the custody is weaker than the strongest.
"""

from __future__ import annotations

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
    TokensvcError,
)
from tokensvc.keyring.custody.base import Custody
from tokensvc.p384 import PublicKey

OpenCustody = Callable[[], Custody]
MESSAGE = b"header.payload"


class CustodyContract:
    """Subclass it, and override `open_custody`."""

    takes_foreign_halves: ClassVar[bool] = True
    """False where no private half that was made elsewhere can be taken in."""

    destroyed_within_seconds: ClassVar[float] = 0.0
    """The longest that a destroyed, not compromised private half may still lie somewhere."""

    compromised_destroyed_within_seconds: ClassVar[float] = 0.0
    """The same for a compromised one."""

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each call opens the same custody, empty at first, as another process would.

        Its clock stands at `EXAMPLE_NOW`.
        """
        raise NotImplementedError

    @pytest.fixture
    def custody(self, open_custody: OpenCustody) -> Custody:
        """One custody, for the tests that need no second."""
        return open_custody()

    # --- Making

    def test_an_empty_custody_has_no_key_ids(self, custody: Custody) -> None:
        """Nothing was made, so nothing is listed."""
        assert tuple(custody.key_ids()) == ()

    def test_creating_the_same_id_again_gives_the_same_public_half(
        self, open_custody: OpenCustody
    ) -> None:
        """Every step can be run again, by another process too."""
        first = open_custody().create("k-1")
        assert open_custody().create("k-1") == first
        assert tuple(open_custody().key_ids()) == ("k-1",)

    def test_each_id_has_a_key_pair_of_its_own(self, custody: Custody) -> None:
        """Two IDs never share a private half."""
        public_keys = {custody.create(key_id) for key_id in ("k-1", "k-2", "k-3")}
        assert len(public_keys) == 3
        assert sorted(custody.key_ids()) == ["k-1", "k-2", "k-3"]

    def test_threads_that_create_the_same_id_at_once_get_one_key_pair(
        self, open_custody: OpenCustody
    ) -> None:
        """Whoever is first makes it, and the others find it."""
        together = threading.Barrier(6, timeout=30)

        def create(_: int) -> PublicKey:
            custody = open_custody()
            together.wait()
            return custody.create("k-1")

        with ThreadPoolExecutor(6) as pool:
            public_keys = set(pool.map(create, range(6)))
        assert len(public_keys) == 1
        open_custody().signer("k-1", public_keys.pop())

    @pytest.mark.parametrize("key_id", ["", "../k", "K-1", "k_1", "k/1", "k" * 65, "k\n"])
    def test_what_can_be_no_id_is_refused_everywhere(self, custody: Custody, key_id: str) -> None:
        """An ID is 1 to 64 of a-z, 0-9 and '-', so that every custody can use it as a name."""
        public_key = custody.create("k-1")
        with pytest.raises(CustodyDamaged, match="can't be the ID"):
            custody.create(key_id)
        with pytest.raises(CustodyDamaged, match="can't be the ID"):
            custody.signer(key_id, public_key)
        with pytest.raises(CustodyDamaged, match="can't be the ID"):
            custody.destroy(key_id, compromised=False)
        assert tuple(custody.key_ids()) == ("k-1",)

    # --- Signing

    def test_a_signature_has_96_bytes_and_holds_by_that_key_alone(
        self, open_custody: OpenCustody
    ) -> None:
        """What one process made another signs with; no other key's public half takes it."""
        public_key = open_custody().create("k-1")
        other = open_custody().create("k-2")
        signer = open_custody().signer("k-1", public_key)
        assert signer.public_key == public_key
        signature = signer.sign(MESSAGE)
        assert len(signature) == 96
        public_key.verify(signature, MESSAGE)
        with pytest.raises(InvalidSignature):
            other.verify(signature, MESSAGE)
        with pytest.raises(InvalidSignature):
            public_key.verify(signature, MESSAGE + b".")

    def test_threads_share_one_signer(self, custody: Custody) -> None:
        """A worker has one signer for all of its threads."""
        public_key = custody.create("k-1")
        signer = custody.signer("k-1", public_key)

        def sign(number: int) -> None:
            message = b"%d" % number
            public_key.verify(signer.sign(message), message)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(sign, range(30)))

    def test_a_key_pair_that_was_never_made_has_no_signer(self, custody: Custody) -> None:
        """A missing private half is told, with what to do about it."""
        public_key = custody.create("k-1")
        with pytest.raises(CustodyDamaged, match="k-2 is missing") as refusal:
            custody.signer("k-2", public_key)
        assert refusal.value.hint

    def test_a_private_half_of_another_public_half_does_not_sign(self, custody: Custody) -> None:
        """The record's public half is what IVS has: any other would sign worthless tokens."""
        mine, other = custody.create("k-1"), custody.create("k-2")
        with pytest.raises(CustodyDamaged, match="belongs to another public half") as refusal:
            custody.signer("k-1", other)
        assert mine.fingerprint in refusal.value.detail
        assert other.fingerprint in refusal.value.detail
        assert custody.signer("k-1", mine).public_key == mine

    # --- Adopting

    def test_an_adopted_private_half_signs(self, open_custody: OpenCustody) -> None:
        """A key pair made elsewhere works like one's own; where it can't, that is said."""
        private_key = ec.generate_private_key(ec.SECP384R1())
        expected = PublicKey.of(private_key.public_key())
        if not self.takes_foreign_halves:
            with pytest.raises(CustodyUnavailable) as refusal:
                open_custody().adopt("k-1", private_key)
            assert refusal.value.hint
            return
        assert open_custody().adopt("k-1", private_key) == expected
        assert open_custody().adopt("k-1", private_key) == expected
        assert open_custody().create("k-1") == expected
        expected.verify(open_custody().signer("k-1", expected).sign(MESSAGE), MESSAGE)

    def test_adopting_over_another_private_half_is_refused_and_changes_nothing(
        self, custody: Custody
    ) -> None:
        """No private half is ever replaced by another."""
        mine = custody.create("k-1")
        with pytest.raises(TokensvcError) as refusal:
            custody.adopt("k-1", ec.generate_private_key(ec.SECP384R1()))
        expected = CustodyDamaged if self.takes_foreign_halves else CustodyUnavailable
        assert type(refusal.value) is expected
        mine.verify(custody.signer("k-1", mine).sign(MESSAGE), MESSAGE)

    def test_a_private_half_of_another_curve_is_not_adopted(self, custody: Custody) -> None:
        """IVS takes P-384 alone, and so does a custody."""
        with pytest.raises((InvalidKeyMaterial, CustodyUnavailable)):
            custody.adopt("k-1", ec.generate_private_key(ec.SECP256R1()))
        assert tuple(custody.key_ids()) == ()

    # --- Destroying

    @pytest.mark.parametrize("compromised", [False, True], ids=["retired", "compromised"])
    def test_a_destroyed_private_half_is_unusable_at_once_and_gone_in_time(
        self, open_custody: OpenCustody, *, compromised: bool
    ) -> None:
        """Rule 8: unusable now, gone on the date that is told; the others stay."""
        gone, stays = open_custody().create("k-1"), open_custody().create("k-2")
        gone_at = open_custody().destroy("k-1", compromised=compromised)
        within = (
            self.compromised_destroyed_within_seconds
            if compromised
            else self.destroyed_within_seconds
        )
        assert EXAMPLE_NOW <= gone_at <= EXAMPLE_NOW + within
        custody = open_custody()
        with pytest.raises(CustodyDamaged):
            custody.signer("k-1", gone)
        assert tuple(custody.key_ids()) == ("k-2",)
        stays.verify(custody.signer("k-2", stays).sign(MESSAGE), MESSAGE)

    def test_destroying_again_or_what_never_was_is_nothing_more(self, custody: Custody) -> None:
        """Every step can be run again."""
        custody.create("k-1")
        custody.destroy("k-1", compromised=False)
        custody.destroy("k-1", compromised=True)
        custody.destroy("k-2", compromised=False)
        assert tuple(custody.key_ids()) == ()

    def test_errors_carry_no_private_bytes(self, custody: Custody) -> None:
        """Nothing that a custody says could be signed with."""
        mine, other = custody.create("k-1"), custody.create("k-2")
        with pytest.raises(CustodyDamaged) as refusal:
            custody.signer("k-1", other)
        assert "PRIVATE" not in str(refusal.value)
        assert mine != other
