"""The commands of the pages, run as they are written: each page in one shell, against Local IVS."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.docs.blocks import OUTPUT, ROOT, SHELL, Block, blocks_of
from tests.docs.conftest import Prepared, environment_of
from tests.docs.sessions import free_ports, masked, run
from tests.docs.tables import SESSIONS, reason_not_to_run
from tests.support.moto import Moto

EXAMPLES = {"python": ".py", "json": ".json"}
"""The blocks of a page that are files in the folder of its session, with their numbers."""


@pytest.mark.parametrize("page", sorted(SESSIONS))
def test_the_commands_of_a_page_succeed(
    page: str, prepared: Prepared, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Those that no table leaves out, in their order; and they print what the page shows."""
    session = SESSIONS[page]
    blocks = blocks_of(page)
    commands = [
        block for block in blocks if block.language == SHELL and reason_not_to_run(block) is None
    ]
    if "deployment" in session.given:
        prepared.restore(tmp_path)
    with LocalIvsServer(tmp_path / "ivs") as ivs:
        environment = environment_of(ivs)
        environment |= {"ROOT": str(ROOT), "FREE_PORT": str(free_ports(1)[0])}
        if "aws" in session.given:
            moto: Moto = request.getfixturevalue("moto")
            environment |= moto.environment
        port = environment["TOKENSVC_SERVICE__PORT"]
        if "service" in session.given:
            port = request.getfixturevalue("service")
        own_ivs = "local-ivs --data" in "".join(block.text for block in commands)
        ivs_port = str(free_ports(1)[0]) if own_ivs else ivs.url.rpartition(":")[2]
        replaced = {"tsk_…": prepared.api_key, ":8000": f":{port}", "8001": ivs_port}
        write_examples(blocks, tmp_path, replaced)
        printed = run(
            commands,
            session,
            folder=tmp_path,
            programs=prepared.programs,
            environment=environment,
            replaced=replaced,
        )
    shown = dict(zip(commands, printed, strict=True))
    for before, block in itertools.pairwise(blocks):
        if block.language == OUTPUT:
            lines = [line.strip() for line in masked(block.text).splitlines()]
            missing = [line for line in lines if line not in masked(shown[before])]
            assert missing == [], shown[before]


def write_examples(blocks: Sequence[Block], folder: Path, replaced: Mapping[str, str]) -> None:
    """Write the blocks that commands use into files such as `python_0.py`."""
    for language, ending in EXAMPLES.items():
        examples = [block.text for block in blocks if block.language == language]
        for number, example in enumerate(examples):
            text = functools.reduce(
                lambda text, pair: text.replace(*pair), replaced.items(), example
            )
            (folder / f"{language}_{number}{ending}").write_text(text)
