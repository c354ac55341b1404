"""A site whose pages play a private channel with player.js: a backend of a customer, for tests.

The service, Local IVS and the players are real. The site can answer instead of the service, to
inject a fault.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3
from flask import Flask, Response, request, send_from_directory

from tests.demo.site import DemoSite, running_demo_site
from tests.support.serving import serving

NPM = Path(__file__).parent / "node_modules"
DOCS = Path(__file__).parents[2] / "docs/players.md"
PAGE = """<!doctype html>
<link rel="icon" href="data:,"><title>Players</title>
<video muted autoplay playsinline crossorigin="anonymous"></video>
<video muted autoplay playsinline crossorigin="anonymous"></video>
<script type="module">
  import {{ Playback, PlaybackRefused }} from "{module}";
  Object.assign(window, {{ Playback, PlaybackRefused, events: [] }});
  window.videos = document.querySelectorAll("video");
  window.start = (source = "/watch", options = {{}}) => {{
    window.playback = new Playback(source, options);
    for (const type of ["url", "waiting", "expired", "reload", "refused"])
      playback.addEventListener(type, ({{ detail }}) => events.push({{ type, ...detail }}));
  }};
  window.raised = (type) => events.filter((event) => event.type === type);
</script>
"""


@dataclass
class ViewersSite:
    """The running site.

    Attributes:
        url: its base URL.
        ivs: Local IVS, the service and what is behind them.
        options: the members of the backend's requests to the service.
        answers: what the backend answers next, instead of calling the service.
        asked: the body of each request for a URL.
        statuses: the status of each answer.
    """

    url: str
    ivs: DemoSite
    options: dict[str, Any] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """Forget what earlier tests did, with another viewer, and start the stream."""
        self.options = {"channel": "demo", "viewer_id": f"viewer-{uuid4().hex[:8]}"}
        for recorded in (self.answers, self.asked, self.statuses):
            recorded.clear()
        self.ivs.local_ivs.go_live(str(self.ivs.channel_arn))

    def url_for(self, body: dict[str, Any]) -> Response:
        """What the backend answers to a page."""
        self.asked.append(body)
        if self.answers:
            answer = self.answers.pop(0)
            made = Response(answer.body, answer.status, dict(answer.headers))
        else:
            asked = urllib3.request(
                "POST",
                f"{self.ivs.service_url}/v1/playback-urls",
                json=self.options | body,
                headers={"Authorization": f"Bearer {self.ivs.configuration.api_key}"},
                retries=False,
            )
            made = Response(asked.data, asked.status, content_type=asked.headers["Content-Type"])
        self.statuses.append(made.status_code)
        return made


@dataclass(frozen=True)
class Answer:
    """An answer that replaces that of the service: a problem document."""

    status: int
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)


def example_of_docs(service_url: str) -> str:
    """The page in docs/players.md, with the module of that service."""
    found = re.search(r"```html\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return "<!doctype html>" + found[1].replace("https://tokens.example.com", service_url)


@contextlib.contextmanager
def running_viewers_site(folder: Path) -> Iterator[ViewersSite]:
    """Run everything in this process."""
    with running_demo_site(folder) as ivs:
        app = Flask(__name__, static_folder=None)
        site = ViewersSite("", ivs)

        @app.get("/")
        def page() -> str:
            return PAGE.format(module=f"{ivs.service_url}/v1/player.js")

        @app.get("/npm/<path:name>")
        def npm(name: str) -> Response:
            return send_from_directory(NPM, name)

        @app.get("/commonjs.js")
        def commonjs() -> Response:
            return send_from_directory(NPM.parent, "commonjs.js")

        @app.get("/documented")
        def documented() -> str:
            return example_of_docs(ivs.service_url)

        @app.post("/watch")
        def watch() -> Response:
            return site.url_for(request.get_json())

        @app.post("/watch/42")
        def watch_42() -> Response:
            return site.url_for({})

        with serving(app) as site.url:
            yield site
