"""A study of agents is tried before it is launched, as any other."""

from __future__ import annotations

import pytest

from study.errors import UserError
from study.run.data import fingerprints_of_data
from study.run.dry_run import check_workload
from study.spec.read import parse_spec
from tests.conftest import TINY
from trainers import Budget, make_workload
from trainers.control.environments import ENVIRONMENTS


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_tasks_keep_the_promises_of_a_workload(name: str) -> None:
    """What a user's own model or optimizer is tried on has a loss and a score of the promised shapes."""
    check_workload(make_workload(name, "mlp"))


def test_a_budget_that_does_not_suit_is_refused_before_the_launch() -> None:
    """The batch must divide a rollout; the message says which number would do."""
    spec = parse_spec(TINY.replace("workload: digits", "workload: cartpole"))
    spec = spec.model_copy(update={"budget": Budget(steps=2, batch_size=100)})
    with pytest.raises(UserError, match="wanted a divisor of 1024"):
        fingerprints_of_data(spec)
