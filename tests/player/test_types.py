"""The types that our modules declare by JSDoc comments hold in TypeScript's strict mode."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.player.viewers_site import NPM

ROOT = Path(__file__).parents[2]
# A page that uses the module as the documentation does, with the types of both players.
PAGE = """
import Hls from "{npm}/hls.js/dist/hls.js";
import {{ MediaPlayer }} from "{npm}/amazon-ivs-player/dist/index.js";
import {{ Playback, PlaybackRefused }} from "{module}";
const hls: Hls = new Hls();
declare const player: MediaPlayer;
const playback = new Playback(async ({{ signal, refreshOf }}) => {{
  if (refreshOf === "") throw new PlaybackRefused(401);
  return fetch("/watch", {{ method: "POST", signal }});
}}, {{ keepSession: true }});
const detach: () => void = playback.attach(document.createElement("video"));
playback.attach(hls);
playback.attach(player);
const seconds: number | null | undefined = (await playback.url()).ttl_seconds;
// @ts-expect-error: A kind has one of five values.
const isUnknown = new PlaybackRefused(403).kind === "unknown";
// @ts-expect-error: A source must be given.
new Playback();
export {{ detach, isUnknown, seconds }};
"""


def test_the_modules_and_a_page_with_the_players_have_no_type_errors(tmp_path: Path) -> None:
    """Of player.js, of the operator's page, and with the types that the players declare."""
    node = shutil.which("node")
    assert node is not None, "node is missing: `make test` names the packages."
    static = ROOT / "tokensvc/web/static"
    module = static / "player.js"
    page = tmp_path / "page.ts"
    page.write_text(PAGE.format(npm=NPM, module=module))
    options = {
        "allowJs": True,
        "checkJs": True,
        "noEmit": True,
        "strict": True,
        "noUnusedLocals": True,
        "noUnusedParameters": False,
        "skipLibCheck": True,
        "target": "es2022",
        "module": "es2022",
        "moduleResolution": "bundler",
        "lib": ["es2023", "dom", "dom.iterable"],
        "types": [],
    }
    project = tmp_path / "tsconfig.json"
    files = [str(page), str(static / "ops/ops.js")]
    project.write_text(json.dumps({"compilerOptions": options, "files": files}))
    checked = subprocess.run(
        [node, str(NPM / "typescript/bin/tsc"), "-p", str(project)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout == ""
    assert checked.returncode == 0
