"""`tokensvc keys rewrap`: re-encrypt the private keys with a new key-encryption secret."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import progress, say, say_error
from tokensvc.errors import SettingsInvalid, TokensvcError
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.moving import parts_of


@click.command(name="rewrap")
@pass_invocation
def command(invocation: Invocation) -> None:
    """Re-encrypt every private key with the current key-encryption secret.

    \b
    To change the secret:
     1. Create a new one: (umask 077; openssl rand -base64 32 > FILE).
     2. In [custody] of the settings, set key_encryption_secret_file to the
        new file and previous_key_encryption_secret_file to the old one.
     3. Restart the service, so that its workers can read both.
     4. Run `tokensvc keys rewrap`. Run it again after a crash.
     5. Remove previous_key_encryption_secret_file, and restart again.

    Calls no operation of IVS.
    """  # noqa: D301 # \b is click's marker for a paragraph that is not rewrapped.
    parts = parts_of(invocation.custody(invocation.settings.ivs.regions[0]))
    custody = next((part for part in parts if isinstance(part, FileCustody)), None)
    if custody is None:
        raise SettingsInvalid(
            "Only the file: custody has a key-encryption secret.",
            hint="Skip this command: the configured custody encrypts private keys itself.",
        )
    key_ids = custody.key_ids()
    rewrapped = 0
    failures: list[TokensvcError] = []
    with progress(key_ids, "Private keys read") as bar:
        for key_id in bar:
            try:
                rewrapped += custody.rewrap(key_id)
            except TokensvcError as exc:
                failures.append(exc)
    for failure in failures:
        say_error(failure)
    click.echo(f"{rewrapped} of {len(key_ids)} private keys were re-encrypted.")
    if failures:
        say(f"{len(failures)} failed. Fix the errors above, then run `tokensvc keys rewrap` again.")
        raise click.exceptions.Exit(1)
    say("Every private key is encrypted with the current secret. Next, in this order:")
    say("  1. Remove custody.previous_key_encryption_secret_file from the settings, if it is set.")
    say("  2. Restart the service. Until then its workers use the keys that they have loaded.")
    say("  3. Keep the previous secret as long as a backup holds files encrypted with it.")
