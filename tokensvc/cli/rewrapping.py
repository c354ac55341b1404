"""`tokensvc keys rewrap`: every private half under another key-encryption secret."""

from __future__ import annotations

import click

from tokensvc.bootstrap import build_custody
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.output import say, say_error
from tokensvc.errors import SettingsInvalid, TokensvcError
from tokensvc.keyring.custody.file import FileCustody


@click.command()
@pass_invocation
def rewrap(invocation: Invocation) -> None:
    """Encrypt every private half under the present key-encryption secret.

    \b
    To change the secret:
     1. Make one: (umask 077; openssl rand -base64 32 > FILE).
     2. In the settings' [custody], set key_encryption_secret_file to it, and
        previous_key_encryption_secret_file to the one before.
     3. Restart the service, so that its workers read under both.
     4. Run `tokensvc keys rewrap`; after a crash, again.
     5. Take previous_key_encryption_secret_file out, and restart once more.

    Calls no operation of IVS.
    """  # noqa: D301 # \b is click's mark for lines that are not to be refilled.
    custody = build_custody(invocation.settings.custody, invocation.clock)
    if not isinstance(custody, FileCustody):
        raise SettingsInvalid(
            "Only the custody file: has a key-encryption secret.",
            hint="Other custodies encrypt by themselves: nothing is left to do.",
        )
    key_ids = custody.key_ids()
    rewrapped = failed = 0
    for key_id in key_ids:
        try:
            rewrapped += custody.rewrap(key_id)
        except TokensvcError as exc:
            failed += 1
            say_error(exc)
    click.echo(f"{rewrapped} of {len(key_ids)} private halves are encrypted anew.")
    if failed:
        say(f"{failed} stay as they were. Mend that, then run `tokensvc keys rewrap` again.")
        raise click.exceptions.Exit(1)
    say("All are under the present secret. Next, in this order:")
    say("  take custody.previous_key_encryption_secret_file out of the settings, if it is there;")
    say("  restart the service: workers that run go on with what they have loaded until then;")
    say("  keep the previous secret for as long as a backup holds files that are under it.")
