"""The files of the operator's page."""

from __future__ import annotations

import re
from importlib import resources

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem


def test_the_page_allows_files_of_the_service_only(deployment: Deployment) -> None:
    """No script, style or picture from elsewhere, nothing inline, and no frame around it."""
    answer = deployment.client_of(deployment.service_with_ops_page()).get("/ops")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "img-src", "connect-src")} == {
        "'self'"
    }
    assert re.findall(r"<style|style=|<script>|https?://", answer.text) == []
    assert "Set-Cookie" not in answer.headers


def test_every_file_is_served_with_its_type(deployment: Deployment) -> None:
    """A browser refuses a module of another type. Another name is not found."""
    client = deployment.client_of(deployment.service_with_ops_page())
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    folder = resources.files("tokensvc.web").joinpath("static/ops")
    names = {file.name for file in folder.iterdir()} - {"index.html"}
    assert {"ops.js", "ops.css", "icon.svg"} <= names
    for name in names:
        answer = client.get(f"/ops/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(types[name.rpartition(".")[2]])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("index.html", "other.js", "..%2Fplayer.js"):
        assert_problem(client.get(f"/ops/{name}"), "not_found")
