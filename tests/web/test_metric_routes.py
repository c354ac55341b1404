from __future__ import annotations

from tests.support.deployment import Deployment
from tokensvc.web.metrics import ROUTES


def test_every_route_has_a_label_of_its_own(deployment: Deployment) -> None:
    """So that no route of the API counts as `other`; `ROUTES` has no path that is none."""
    app = deployment.create_app(deployment.service_with_ops_page())
    rules = {rule.rule.partition("/<")[0] for rule in app.url_map.iter_rules()}
    assert rules == set(ROUTES)
