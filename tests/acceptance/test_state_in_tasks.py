"""States as tasks reach them: through the api-server."""

from __future__ import annotations

import pytest

from tests.fixtures.fix_deployment import Deployment

pytestmark = pytest.mark.acceptance


def test_variables_keep_the_contract_in_a_task(site: Deployment) -> None:
    """Every check of the contract of state stores holds in a worker."""
    site.api.wait_for_dags(["state_contract"])
    run_id = site.api.trigger("state_contract")
    state = site.finish("state_contract", run_id)
    assert state == "success", site.api.failure(site.find("state_contract", run_id))
