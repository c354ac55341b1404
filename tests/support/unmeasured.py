"""The test modules whose coverage is not measured, because that takes 50 % more time.

They run lines that other tests run too: whole rotations, applications with every fault, and
processes that import everything. Python 3.11 traces any code while coverage is measured, also that
of libraries and of Local IVS. The limit for the coverage of the whole holds without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from coverage import Coverage

UNMEASURED: Final = frozenset(
    {
        "cli/ivs/test_operations.py",
        "cli/keys/test_doctor.py",
        "cli/keys/test_rotate_and_reconcile.py",
        "cli/test_error_sentences.py",
        "cli/test_missing_credentials.py",
        "cli/test_progress.py",
        "cli/test_serve_check.py",
        "contract/test_dynamodb_state.py",
        "crash/test_every_crash_point.py",
        "crash/test_on_aws.py",
        "demo/test_launcher.py",
        "demo/test_preparing.py",
        "docs/test_pages.py",
        "demo/test_run_aws.py",
        "deploy/test_cloudformation.py",
        "deploy/test_roles.py",
        "e2e/test_blocked_log.py",
        "e2e/test_fleet_on_aws.py",
        "e2e/test_hostile_connections.py",
        "e2e/test_memory.py",
        "e2e/test_rotation_under_load.py",
        "e2e/test_wsgi_servers.py",
        "fleet/test_any_schedule.py",
        "fleet/test_fleet.py",
        "ivs/test_against_local_ivs.py",
        "ivs/test_directory_model.py",
        "keyring/test_emergency.py",
        "keyring/test_faults.py",
        "keyring/test_previous_schema.py",
        "keyring/test_probes.py",
        "keyring/test_restored_state.py",
        "keyring/test_rollback.py",
        "keyring/test_stories.py",
        "keyring/test_terms.py",
        "keyring/test_unusable_standby.py",
        "keyring/test_view.py",
        "keyring/test_wrong_clock.py",
        "keyring/test_wrong_credentials.py",
        "packaging/test_dockerfile.py",
        "packaging/test_wheel.py",
        "playback/test_inspection_and_edge_agree.py",
        "state/test_record_writer_model.py",
        "state/test_record_writer_processes.py",
        "state/test_sqlite_faults.py",
        "state/test_sqlite_processes.py",
        "web/test_bodies.py",
        "web/test_hanging_ivs.py",
        "web/test_identity.py",
        "web/test_jwks.py",
        "web/test_locked_state.py",
        "web/test_no_name_leaks.py",
        "web/test_playback_urls.py",
        "web/test_problem_sentences.py",
        "web/test_readiness_scope.py",
        "web/test_rule_11.py",
        "web/worker/test_overload.py",
    }
)
"""Their paths below `tests`."""


@contextmanager
def unmeasured() -> Iterator[None]:
    """Measure no coverage until the block ends, neither here nor in processes that begin in it.

    pytest-cov's marker `no_cover` leaves out the call of a test only: no fixture, and no process.
    """
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        measuring.stop()
        try:
            yield
        finally:
            measuring.start()
