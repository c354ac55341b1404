"""The commands of the pages, run as they are written: each page in one shell, against Local IVS."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.docs.blocks import ROOT, SHELL, blocks_of
from tests.docs.conftest import Prepared, environment_of
from tests.docs.sessions import free_ports, run
from tests.docs.tables import SESSIONS, reason_not_to_run
from tests.support.moto import Moto

EXAMPLES = {"python": ".py", "json": ".json"}
"""The blocks of a page that are files in the folder of its session, with their numbers."""


@pytest.mark.parametrize("page", sorted(SESSIONS))
def test_the_commands_of_a_page_succeed(
    page: str, prepared: Prepared, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Those that no table leaves out, in their order."""
    session = SESSIONS[page]
    all_blocks = blocks_of(page)
    blocks = [
        block
        for block in all_blocks
        if block.language == SHELL and reason_not_to_run(block) is None
    ]
    for language, ending in EXAMPLES.items():
        examples = [block for block in all_blocks if block.language == language]
        for number, block in enumerate(examples):
            (tmp_path / f"{language}_{number}{ending}").write_text(block.text)
    if "deployment" in session.given:
        prepared.restore(tmp_path)
    with LocalIvsServer(tmp_path / "ivs") as ivs:
        environment = environment_of(ivs)
        environment |= {"ROOT": str(ROOT), "FREE_PORT": str(free_ports(1)[0])}
        if "aws" in session.given:
            moto: Moto = request.getfixturevalue("moto")
            environment = {**environment, **moto.environment}
        port = environment["TOKENSVC_SERVICE__PORT"]
        if "service" in session.given:
            port = request.getfixturevalue("service")
        own_ivs = "local-ivs --data" in "".join(block.text for block in blocks)
        ivs_port = str(free_ports(1)[0]) if own_ivs else ivs.url.rpartition(":")[2]
        run(
            blocks,
            session,
            folder=tmp_path,
            programs=prepared.programs,
            environment=environment,
            replaced={"tsk_…": prepared.api_key, ":8000": f":{port}", "8001": ivs_port},
        )
