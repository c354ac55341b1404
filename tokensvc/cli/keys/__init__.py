"""`tokensvc keys`: the playback key pairs of each region and their rotation."""

from __future__ import annotations

import click

from tokensvc.cli.keys import (
    adopt,
    doctor,
    generate,
    history,
    import_,
    list_,
    reconcile,
    revoke,
    rewrap,
    rollback,
    rotate,
    show,
    terms,
    test_notification,
)


@click.group()
def keys() -> None:
    """Create, import, rotate and revoke the playback key pairs."""


for _verb in (
    generate,
    import_,
    adopt,
    list_,
    show,
    rotate,
    rollback,
    reconcile,
    revoke,
    rewrap,
    history,
    terms,
    doctor,
    test_notification,
):
    keys.add_command(_verb.command)
