from __future__ import annotations

import base64
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import NoneType

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.clock import ManualClock
from tests.support.unprivileged import unprivileged_folder
from tokensvc.errors import CustodyDamaged, CustodyDenied, CustodyUnavailable, SettingsInvalid
from tokensvc.keyring.custody.encryption import unwrap, wrap
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.signers import StoredKey

PROCESS = "tests.keyring.custody.file_process"
PROJECT = Path(__file__).parents[3]
SECRET = bytes(range(32))
OTHER_SECRET = bytes(range(1, 33))
MESSAGE = b"header.payload"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the private key files, which does not exist yet."""
    return tmp_path / "keys"


@pytest.fixture
def custody(folder: Path) -> FileCustody:
    """A custody in that folder."""
    return FileCustody(folder, SECRET, ManualClock())


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the programs of `file_process`. Returns the completed process."""
    return subprocess.run(
        [sys.executable, "-m", PROCESS, program, str(folder)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def names_in(folder: Path) -> list[str]:
    """The names of all files in the folder, including hidden ones."""
    return sorted(entry.name for entry in folder.iterdir())


# --- The file


def test_only_the_owner_can_access_a_private_key_file_and_its_folder(
    custody: FileCustody, folder: Path
) -> None:
    """Mode 0600 in a folder with mode 0700, and no draft remains."""
    custody.create("k-1")
    assert stat.S_IMODE((folder / "k-1.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert names_in(folder) == ["k-1.pem"]


def test_the_file_is_encrypted_and_openssl_reads_it_with_the_secret_as_base64(
    custody: FileCustody, folder: Path, tmp_path: Path
) -> None:
    """It is a standard PKCS#8 file, so its owner can use the key without tokensvc."""
    key = custody.create("k-1")
    secret_file = tmp_path / "secret"
    secret_file.write_bytes(base64.b64encode(SECRET) + b"\n")
    openssl = shutil.which("openssl")
    assert openssl is not None, "This test needs the openssl command. Install openssl."
    ended = subprocess.run(
        [openssl, "pkey", "-in", folder / "k-1.pem", "-passin", f"file:{secret_file}", "-pubout"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert ended.stdout.decode() == key.public_key.pem
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (folder / "k-1.pem").read_bytes()


def test_a_written_file_is_never_changed(custody: FileCustody, folder: Path) -> None:
    """Creating again, signing and listing change neither the content nor the file itself."""
    key = custody.create("k-1")
    path = folder / "k-1.pem"
    before = path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns
    custody.create("k-1")
    custody.signer(key)
    custody.key_ids()
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) == before


def test_other_files_in_the_folder_are_ignored(custody: FileCustody, folder: Path) -> None:
    """The state, a README and invalid names are not listed as private keys."""
    custody.create("k-1")
    for name in ("state.sqlite3", "README.md", "K_2.pem", ".k-3.pem.0123.draft", "k-4.pem.bak"):
        (folder / name).write_text("x")
    assert custody.key_ids() == ["k-1"]


def test_a_secret_of_another_length_is_refused(folder: Path) -> None:
    """The error contains the command that generates a secret."""
    with pytest.raises(SettingsInvalid, match=r"32 bytes.*openssl rand -base64 32"):
        FileCustody(folder, b"x" * 31, ManualClock())


def test_a_private_key_can_be_encrypted_again_with_another_secret() -> None:
    """As in a change of the secret: the same private key in another file."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    old = wrap(private_key, SECRET)
    new = wrap(unwrap(old, SECRET, name="k-9"), OTHER_SECRET)
    assert unwrap(new, OTHER_SECRET, name="k-9").private_numbers() == private_key.private_numbers()
    with pytest.raises(CustodyDenied, match=r"^k-9 .*custody\.key_encryption_secret_file"):
        unwrap(new, SECRET, name="k-9")


# --- Damage


def test_a_wrong_secret_is_distinguished_from_damage(custody: FileCustody, folder: Path) -> None:
    """The hint names the setting, for a signer and for a repeated creation."""
    key = custody.create("k-1")
    wrong = FileCustody(folder, OTHER_SECRET, ManualClock())
    with pytest.raises(CustodyDenied, match=r"custody\.key_encryption_secret_file"):
        wrong.signer(key)
    with pytest.raises(CustodyDenied, match=r"custody\.key_encryption_secret_file"):
        wrong.create("k-1")
    assert custody.signer(key).public_key == key.public_key


def cut(path: Path) -> None:
    """Keep the first 50 % of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Make the file empty."""
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    """Write bytes that are not text."""
    path.write_bytes(bytes(range(256)))


def flip(path: Path) -> None:
    """Change one character in the encrypted part."""
    content = bytearray(path.read_bytes())
    at = content.index(b"-----\n") + 300
    content[at] = ord("A") if content[at] != ord("A") else ord("B")
    path.write_bytes(content)


def plain(path: Path) -> None:
    """Write an unencrypted key, as OpenSSL does."""
    key = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def another_curve(path: Path) -> None:
    """Write an encrypted P-256 key."""
    path.write_bytes(wrap(ec.generate_private_key(ec.SECP256R1()), SECRET))


@pytest.mark.parametrize(
    ("damage", "cause", "data"),
    [
        (cut, ValueError, "tokensvc keys revoke"),
        (empty, ValueError, "tokensvc keys revoke"),
        (garbage, ValueError, "tokensvc keys revoke"),
        (flip, (ValueError, NoneType), "tokensvc keys revoke"),
        (plain, TypeError, "tokensvc keys adopt"),
        (another_curve, NoneType, "P-384.*tokensvc keys revoke"),
    ],
)
def test_a_damaged_file_does_not_sign_and_is_not_replaced(
    custody: FileCustody,
    folder: Path,
    damage: Callable[[Path], None],
    cause: type | tuple[type, ...],
    data: str,
) -> None:
    """The error has the key ID and the command to run. The file is kept for an investigation."""
    key = custody.create("k-1")
    path = folder / "k-1.pem"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(CustodyDamaged, match=f"k-1 .*{data}") as refusal:
        custody.signer(key)
    assert isinstance(refusal.value.__cause__, cause)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [cut, empty, garbage, plain, another_curve])
def test_a_damaged_file_is_not_treated_as_missing(
    custody: FileCustody, folder: Path, damage: Callable[[Path], None]
) -> None:
    """Creating or adopting over a damaged file is refused: it may be the only copy of a key."""
    custody.create("k-1")
    path = folder / "k-1.pem"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(CustodyDamaged):
        custody.create("k-1")
    with pytest.raises(CustodyDamaged):
        custody.adopt("k-1", ec.generate_private_key(ec.SECP384R1()))
    assert path.read_bytes() == before


def test_a_swapped_file_does_not_sign(custody: FileCustody, folder: Path) -> None:
    """An intact file with the name of another is detected by its public key."""
    first, second = custody.create("k-1"), custody.create("k-2")
    (folder / "k-1.pem").rename(folder / "aside")
    (folder / "k-2.pem").rename(folder / "k-1.pem")
    (folder / "aside").rename(folder / "k-2.pem")
    for expected, found in ((first, second), (second, first)):
        recorded, in_file = expected.public_key.fingerprint, found.public_key.fingerprint
        data = rf"{expected.key_id} .*{recorded}.*{in_file}"
        with pytest.raises(CustodyDamaged, match=data):
            custody.signer(expected)


# --- Faults of the machine


def test_a_loaded_signer_still_signs_after_the_folder_has_vanished(
    custody: FileCustody, folder: Path
) -> None:
    """Everything else raises `CustodyUnavailable`, and the folder is not created again."""
    key = custody.create("k-1")
    signer = custody.signer(key)
    folder.rename(folder.with_name("away"))
    key.public_key.verify(signer.sign(MESSAGE), MESSAGE)
    adopted = ec.generate_private_key(ec.SECP384R1())
    for call in (
        lambda: custody.create("k-2"),
        lambda: custody.adopt("k-2", adopted),
        lambda: custody.signer(key),
        lambda: custody.destroy("k-1", compromised=False),
        custody.key_ids,
    ):
        with pytest.raises(CustodyUnavailable, match=str(folder)):
            call()
    assert not folder.exists()
    folder.with_name("away").rename(folder)
    assert custody.key_ids() == ["k-1"]
    custody.create("k-2")


def test_a_full_disk_leaves_no_partial_file(folder: Path, custody: FileCustody) -> None:
    """The same call succeeds once the disk has free space."""
    folder.mkdir(mode=0o700)
    assert run("create_without_room", folder).stdout == "custody_unavailable\n"
    assert names_in(folder) == []
    custody.create("k-1")


@pytest.mark.parametrize("mode", [0o500, 0o000], ids=["read-only", "closed"])
def test_a_folder_that_may_not_be_written_is_unavailable(mode: int) -> None:
    """A missing permission is reported, and no file remains."""
    with unprivileged_folder() as folder:
        folder.chmod(mode)
        assert run("create", folder).stdout == "custody_unavailable\n"
        folder.chmod(0o700)
        assert names_in(folder) == []
        assert run("create", folder).stdout.count(":") == 15


def test_a_folder_that_is_a_file_is_unavailable(custody: FileCustody, folder: Path) -> None:
    """A path that is not a folder raises the same error."""
    folder.write_text("a file")
    with pytest.raises(CustodyUnavailable):
        custody.create("k-1")
    with pytest.raises(CustodyUnavailable):
        custody.key_ids()


def test_a_crash_before_the_file_has_its_name_leaves_no_key_pair(
    custody: FileCustody, folder: Path
) -> None:
    """A draft is not a key pair; the next call creates one."""
    assert run("crash_before_link", folder).returncode == 9
    assert len(names_in(folder)) == 1
    assert custody.key_ids() == []
    key = custody.create("k-1")
    assert custody.key_ids() == ["k-1"]
    assert custody.signer(key).public_key == key.public_key


def test_a_crash_after_the_file_has_its_name_leaves_that_key_pair(
    custody: FileCustody, folder: Path
) -> None:
    """A file with its name is complete; the next call finds it."""
    assert run("crash_after_link", folder).returncode == 9
    assert len(names_in(folder)) == 2
    assert custody.key_ids() == ["k-1"]
    before = (folder / "k-1.pem").read_bytes()
    key = custody.create("k-1")
    assert custody.signer(key).public_key == key.public_key
    assert (folder / "k-1.pem").read_bytes() == before


def test_destroying_after_a_crash_destroys_the_draft_as_well(
    custody: FileCustody, folder: Path
) -> None:
    """No draft of the same private key remains; the drafts of other key pairs do."""
    assert run("crash_before_link", folder).returncode == 9
    assert run("crash_after_link", folder).returncode == 9
    assert len(names_in(folder)) == 3
    (folder / ".k-11.pem.0123.draft").write_text("of another key pair")
    custody.destroy("k-1", compromised=True)
    assert names_in(folder) == [".k-11.pem.0123.draft", "k-1.destroyed"]


def test_a_key_id_that_is_a_prefix_of_another_is_a_different_key(custody: FileCustody) -> None:
    """Destroying one leaves the others."""
    public_keys = [custody.create(key_id) for key_id in ("k", "k-", "k-1", "k-11")]
    assert len(set(public_keys)) == 4
    custody.destroy("k-1", compromised=False)
    assert custody.key_ids() == ["k", "k-", "k-11"]
    assert isinstance(public_keys[0], StoredKey)
