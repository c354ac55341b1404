"""`tokensvc viewers`: the viewer IDs of callers with a token of an identity provider.

The other commands of the group are in `revoke_viewers` and `end_due`.
"""

from __future__ import annotations

import click

from tokensvc.access import recorded_secrets
from tokensvc.access.revocation_requests import require_issuer
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.cli import changing
from tokensvc.cli.changing import yes_option
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.revokers import configured_issuers
from tokensvc.settings.viewer_id_secrets import viewer_ids_of


@click.group()
def viewers() -> None:
    """Revoke the sessions of viewers, and find viewers' IDs."""


@viewers.command(name="id")
@click.argument("issuer")
@click.argument("subject")
@json_option
@pass_invocation
def viewer_id(invocation: Invocation, issuer: str, subject: str, *, as_json: bool) -> None:
    """Print the viewer ID of a user: ISSUER is the `iss` and SUBJECT the `sub` of the user's token.

    There is one line for each viewer ID secret. The first is in new playback tokens.
    """
    viewer_ids = recorded_viewer_ids(invocation).of(issuer, subject)
    if as_json:
        print_json({"viewer_ids": viewer_ids})
    else:
        click.echo("\n".join(viewer_ids))


@viewers.command(name="record-secrets")
@yes_option
@pass_invocation
def record_secrets(invocation: Invocation, *, yes: bool) -> None:
    """Record which viewer ID secrets the processes of this deployment have.

    Run it once for a new deployment. To change the secret: add the new one at the end of the list
    and start every process with it; run this command; move the new one to the front and start every
    process again. Later, when no ban of a viewer ID under the old secret is in force, remove the
    old one from the settings and run this command again.

    Only fingerprints are recorded. A process that does not have every recorded secret refuses to
    work with viewer IDs.
    """
    viewer_ids = viewer_ids_of(invocation.settings.viewer_ids)
    invocation.state.create()
    stored = recorded_secrets.load_recorded(invocation.state)
    if removed := stored.missing_from(viewer_ids.fingerprints):
        changing.confirm(
            f"Bans of viewer IDs under {removed} recorded secrets that are not in the settings will"
            " have no effect. Remove them?",
            yes=yes,
        )
    recorded = recorded_secrets.record(invocation.state, viewer_ids)
    say(f"Recorded viewer ID secrets: {len(recorded.fingerprints)}.")


def recorded_viewer_ids(invocation: Invocation) -> ViewerIds:
    """Computes the viewer IDs that every process of the deployment computes.

    Raises:
        SettingsInvalid: when no secret is set, or others than the state records.
        StateUnavailable, StateDamaged: when the state can't be read.
    """
    viewer_ids = viewer_ids_of(invocation.settings.viewer_ids)
    recorded_secrets.load_recorded(invocation.state).require(viewer_ids)
    return viewer_ids


def viewer_ids_of_user(invocation: Invocation, issuer: str, subject: str) -> tuple[str, ...]:
    """The viewer IDs of a user who is kicked or banned.

    Raises:
        InvalidRequest: when it is not an issuer of the settings.
        SettingsInvalid, StateUnavailable, StateDamaged: as `recorded_viewer_ids` does.
    """
    viewer_ids = recorded_viewer_ids(invocation)
    require_issuer(issuer, configured_issuers(invocation.settings))
    return viewer_ids.of(issuer, subject)
