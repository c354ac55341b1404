"""The rules about the custody: the form of its URL, and what else each kind of custody needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tokensvc.errors import Problem
from tokensvc.settings.model import CustodySettings, IvsSettings

FORMS: Final = "file:FOLDER, secretsmanager:PREFIX or kms:ALIAS_PREFIX"

# A key ID of at most 64 characters is added to each prefix. AWS allows 512 characters of the name
# of a secret, and 256 of an alias.
_SECRET_PREFIX: Final = re.compile(r"[A-Za-z0-9/_+=.@-]{1,448}")
_ALIAS_PREFIX: Final = re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,186}")
_KMS_KEY: Final = re.compile(
    r"alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64}"
    r"|arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)"
)


def custody_rules(sections: Mapping[str, Any], folder: Path) -> Iterator[Problem]:
    """Every rule that the custody breaks.

    Args:
        sections: the sections that are valid by themselves, by name.
        folder: the folder of relative paths.
    """
    match sections:
        case {"custody": CustodySettings() as custody}:
            yield from _url("custody.url", custody.url)
            if custody.former_url is not None:
                yield from _former_url(custody.url, custody.former_url)
            if (url := custody.files_url) is not None:
                files = (folder / url.removeprefix("file:")).resolve()
                yield from _key_encryption_secret(custody, folder, files)
            yield from _secrets_kms_key(custody, sections)


def _former_url(url: str, former_url: str) -> Iterator[Problem]:
    yield from _url("custody.former_url", former_url)
    if former_url.partition(":")[0] == url.partition(":")[0]:
        yield Problem(
            "custody.former_url",
            "same_kind",
            "This is the kind of custody that custody.url is. Remove it: in AWS, key pairs are"
            " found under an earlier prefix too, and files must stay in one folder.",
        )


def _url(field: str, url: str) -> Iterator[Problem]:
    scheme, _, rest = url.partition(":")
    match scheme:
        case "file" if rest:
            return
        case "secretsmanager":
            if not _SECRET_PREFIX.fullmatch(rest):
                yield Problem(
                    field,
                    "secret_prefix",
                    f"{rest!r} can't begin the name of a secret. Use 1 to 448 characters of A-Z,"
                    " a-z, 0-9 and /_+=.@-, such as secretsmanager:tokensvc/.",
                )
        case "kms":
            if not _ALIAS_PREFIX.fullmatch(rest):
                yield Problem(
                    field,
                    "alias_prefix",
                    f"{rest!r} can't begin an alias. Use alias/ and 1 to 186 characters of A-Z,"
                    " a-z, 0-9 and /_-, such as kms:alias/tokensvc/. alias/aws/ is reserved.",
                )
        case _:
            yield Problem(
                field,
                "unknown_scheme",
                f"{url!r} does not have a supported form. Use {FORMS}.",
            )


def _secrets_kms_key(custody: CustodySettings, sections: Mapping[str, Any]) -> Iterator[Problem]:
    field, key = "custody.secrets_kms_key", custody.secrets_kms_key
    if key is None:
        return
    if not any(url.startswith("secretsmanager:") for url in custody.urls):
        yield Problem(
            field,
            "other_custody",
            "Only secretsmanager: uses this KMS key. Remove it, or set custody.url to"
            " secretsmanager:PREFIX.",
        )
        return
    match = _KMS_KEY.fullmatch(key)
    if match is None:
        yield Problem(
            field,
            "kms_key",
            f"{key!r} is not a KMS key. Use alias/NAME, the ID of a key, or an ARN.",
        )
        return
    match sections:
        case {"ivs": IvsSettings(regions=regions)} if match["region"]:
            others = [region for region in regions if region != match["region"]]
            if others:
                yield Problem(
                    field,
                    "other_region",
                    f"This KMS key is in {match['region']}, and the secrets of"
                    f" {', '.join(others)} need one there. Use alias/NAME with an alias in each"
                    " region.",
                )


def _key_encryption_secret(
    custody: CustodySettings, folder: Path, keys_folder: Path
) -> Iterator[Problem]:
    file, text = custody.key_encryption_secret_file, custody.key_encryption_secret
    if (file is None) == (text is None):
        yield Problem(
            "custody.key_encryption_secret_file",
            "one_secret",
            "Exactly one key-encryption secret is required, because the private keys are encrypted"
            " with it. Set either this or TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET.",
        )
    previous_file = custody.previous_key_encryption_secret_file
    if previous_file is not None and custody.previous_key_encryption_secret is not None:
        yield Problem(
            "custody.previous_key_encryption_secret_file",
            "one_secret",
            "The previous key-encryption secret is set in two ways. Unset either this or"
            " TOKENSVC_CUSTODY__PREVIOUS_KEY_ENCRYPTION_SECRET.",
        )
    for field, path in {
        "custody.key_encryption_secret_file": file,
        "custody.previous_key_encryption_secret_file": previous_file,
    }.items():
        if path is not None and (folder / path).resolve().is_relative_to(keys_folder):
            yield Problem(
                field,
                "secret_beside_keys",
                f"The secret is in {keys_folder}, the folder of the keys that are encrypted with"
                " it. A copy of the folder would contain both. Move the secret to another folder.",
            )
