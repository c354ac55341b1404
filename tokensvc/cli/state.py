"""`tokensvc state`: the state that all processes of a deployment share."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import click

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.bans import record
from tokensvc.access.bans.record import Event
from tokensvc.cli.change_audit import write_change
from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.cli.output import say
from tokensvc.errors import BackupRefused, SchemaUnsupported, StateDamaged
from tokensvc.keyring.changes import Decision, RingChange
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.ring_document import decode_ring, is_ring
from tokensvc.service import build_state
from tokensvc.settings import Settings
from tokensvc.settings.loading import absolute_url
from tokensvc.state.base import Contents, State
from tokensvc.state.schema import CURRENT, written_schema
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_copy import copy_state
from tokensvc.state_restore import as_restored, mark_as_restored
from tokensvc.state_upgrade import upgrade_state


@click.group()
def state() -> None:
    """Maintain the state that all processes share."""


@state.command()
@yes_option
@pass_invocation
def upgrade(invocation: Invocation, *, yes: bool) -> None:
    """Write the state in the schema of this release from now on.

    A release reads the previous schema too, and writes it until this command is run, so that
    workers and jobs can be upgraded one after another. Run it when every process has this release:
    processes of the previous one can't read the state afterwards.

    Calls no operation of IVS.
    """
    if written_schema(invocation.state) != CURRENT:
        confirm("Processes of the previous release will stop signing. Upgrade the state?", yes=yes)
    for name in upgrade_state(invocation.state):
        click.echo(name)
    say(f"The state is written in schema version {CURRENT}.")


@state.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_invocation
def backup(invocation: Invocation, file: Path) -> None:
    """Write a backup of the state to the new file FILE, while the service runs.

    A plain copy of the state file is damaged if a process writes meanwhile. The backup has the
    rings, the API keys and the bans. It has no private key, and no key-encryption secret: the
    command prints which files to copy as well.

    Calls no operation of IVS.
    """
    stored = _sqlite_state(invocation)
    as_restored(stored.contents(), operator())  # Raises if the backup could not be restored.
    contents = stored.back_up(file)
    click.echo(file)
    say(f"The backup has {_described(contents)}. Copy too, to other places:")
    for line in _not_in_the_backup(invocation.settings, contents):
        say(f"  {line}")


@state.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--replace", is_flag=True, help="Replace the state that exists.")
@click.option(
    "--in-place",
    is_flag=True,
    help="The state that state.url names was restored, such as a table to a point in time.",
)
@yes_option
@pass_invocation
def restore(
    invocation: Invocation, file: Path | None, *, replace: bool, in_place: bool, yes: bool
) -> None:
    """Restore the state from FILE, which `tokensvc state backup` wrote. Stop scheduled jobs first.

    No API key works until you confirm it with `tokensvc api-keys confirm`, because the backup has
    keys that were revoked later. Bans are those of the backup: later ones are lost. Nothing is
    deleted from IVS until every token has expired that was signed since the backup. Processes that
    run read the restored state within seconds. They must have this release, because the state is
    restored as after `tokensvc state upgrade`.

    With --in-place and without FILE, a state that was restored by other means is marked in the same
    way. Run it before any other command.

    Calls no operation of IVS.
    """
    if (file is None) != in_place:
        raise click.UsageError("Name the FILE of a backup, or use --in-place.")
    if file is None:
        confirm("Every API key will need a confirmation. Mark the state as restored?", yes=yes)
        contents = mark_as_restored(invocation.state, operator())
        source = "in place"
    else:
        contents = _restored(invocation, file, replace=replace, yes=yes)
        source = f"backup {file}"
    act = Act(invocation.clock.now(), operator(), source)
    for ring in _rings(contents):
        write_change(RingChange(ring.region, Decision.RESTORE, "", act))
    say(f"Restored: {_described(contents)}. Next:")
    for line in _after_a_restore(invocation.settings, contents):
        say(f"  {line}")


@state.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@yes_option
@pass_invocation
def copy(invocation: Invocation, source: str, target: str, *, yes: bool) -> None:
    """Copy the state FROM one place TO another, such as sqlite:FILE or dynamodb:REGION/TABLE.

    A table must exist: set state.url to it, and run `tokensvc init --aws`. The rings, the API keys,
    the bans and the record of the schedules are copied. From then on no process can change them in
    the old place. Set state.url in the settings of every process, and restart them all at once:
    those that use the old place sign for as long as what they have read may be used.

    The command can be run again after an interruption, and continues. It never overwrites another
    state. To go back, copy in the other direction.

    Calls no operation of IVS.
    """
    source_url, target_url = (absolute_url(url, Path.cwd()) for url in (source, target))
    if _without_links(source_url) == _without_links(target_url):
        raise click.UsageError("FROM and TO are the same state.")
    seconds = invocation.settings.state.access_max_age_seconds
    confirm(
        f"Processes that use {source_url} will change nothing any more, and will refuse requests"
        f" after {seconds:g} s, unless they are restarted with state.url = {target_url!r}. Copy?",
        yes=yes,
    )
    with (
        closing(_state_at(invocation, source_url)) as old,
        closing(_state_at(invocation, target_url)) as new,
    ):
        for name in copy_state(old, new, source_url=source_url, target_url=target_url):
            click.echo(name)
    say(f"Copied. Now set state.url = {target_url!r} for every process, and restart them all.")


def _without_links(url: str) -> str:
    """The URL, in which the path of a file has no symbolic links."""
    kind, _, place = url.partition(":")
    return f"{kind}:{Path(place).resolve()}" if kind == "sqlite" else url


def _state_at(invocation: Invocation, url: str) -> State:
    settings = invocation.settings
    state = settings.state.model_copy(update={"url": url})
    return build_state(settings.model_copy(update={"state": state}), invocation.clock)


def _restored(invocation: Invocation, file: Path, *, replace: bool, yes: bool) -> Contents:
    """The contents of the backup, which are now the state."""
    stored = _sqlite_state(invocation)
    contents = as_restored(_read_backup(invocation, file), operator())
    if replace and stored.exists():
        confirm(
            f"Everything that was saved since the backup will be lost. The backup has"
            f" {_described(contents)}.{_end_of_the_previous_release(stored)} Replace the state?",
            yes=yes,
        )
    stored.restore(contents, replace=replace)
    return contents


def _end_of_the_previous_release(stored: SqliteState) -> str:
    """A sentence, if processes of the previous release may use the state that is replaced."""
    # A state that is damaged, or of a newer release, serves none of them.
    with suppress(StateDamaged, SchemaUnsupported):
        if written_schema(stored) != CURRENT:
            return " Processes of the previous release will stop signing."
    return ""


def _sqlite_state(invocation: Invocation) -> SqliteState:
    stored = build_state(invocation.settings, invocation.clock)
    if isinstance(stored, SqliteState):
        return stored
    stored.close()
    raise BackupRefused(
        f"The state is in {invocation.settings.state.url}, which has backups of its own.",
        hint="Restore the table to a point in time, then run `tokensvc state restore --in-place`:"
        " see docs/state-dynamodb.md.",
    )


def _read_backup(invocation: Invocation, file: Path) -> Contents:
    try:
        return SqliteState(file, invocation.clock).contents()
    except StateDamaged as exc:
        raise BackupRefused(
            f"{file} is not a backup of a state, or it is damaged. Nothing was changed.",
            hint="Restore another backup.",
        ) from exc


def _rings(contents: Contents) -> Sequence[Ring]:
    return [decode_ring(each) for name, each in contents.documents.items() if is_ring(name)]


def _described(contents: Contents) -> str:
    keys = ApiKeys.decode(contents.documents.get(api_keys.DOCUMENT_NAME)).keys
    rings = [
        f"the ring of {ring.region} (key pairs: {len(_in_use(ring))})" for ring in _rings(contents)
    ]
    bans = {Event.of(stored).ban.ban_id for kind, stored in contents.records if kind == record.KIND}
    return ", ".join([*rings, f"API keys: {len(keys)}", *([f"bans: {len(bans)}"] if bans else [])])


def _in_use(ring: Ring) -> Sequence[str]:
    return [pair.key_id for pair in ring.pairs if pair.state is not KeyState.RETIRED]


def _private_key_files(settings: Settings, contents: Contents) -> Sequence[Path]:
    if (url := settings.custody.files_url) is None:
        return []
    folder = Path(url.removeprefix("file:"))
    return [
        folder / f"{key_id}.pem"
        for ring in _rings(contents)
        for key_id in _in_use(ring)
        if ring.pair(key_id).custody_handle is None
    ]


def _not_in_the_backup(settings: Settings, contents: Contents) -> Iterator[str]:
    if files := _private_key_files(settings, contents):
        yield f"the encrypted private keys: cp -p {shlex.join(map(str, files))} DIRECTORY/"
    if settings.custody.files_url is not None:
        secret = settings.custody.key_encryption_secret_file
        where = secret or "TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET"
        yield f"the key-encryption secret ({where}), apart from the private keys"
    yield "the settings file"


def _after_a_restore(settings: Settings, contents: Contents) -> Iterator[str]:
    missing = [file for file in _private_key_files(settings, contents) if not file.exists()]
    if missing:
        yield f"copy these private keys back, if you have them: {shlex.join(map(str, missing))}"
    yield "tokensvc keys doctor      # compares the rings with IVS and the private keys"
    yield "tokensvc keys reconcile   # continues the rotation, when doctor reports nothing serious"
    yield "tokensvc api-keys list    # each key needs `tokensvc api-keys confirm KEY`"
    yield "tokensvc bans list        # later bans are lost, and those lifted later count again"
