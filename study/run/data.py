"""The data and networks of a study, loaded before anything is written."""

from __future__ import annotations

from study.errors import UserError
from study.plan.cells import settings
from study.run.containment import contained
from study.run.dry_run import rehearse
from study.run.own_training.training import check_function
from study.spec.build import fingerprint_of, workload_of
from study.spec.model import StudySpec
from study.spec.user_code import error_line


def fingerprints_of_data(spec: StudySpec) -> dict[str, str]:
    """Load every workload and return what stands for it in the keys of cells, by the setting's name.

    Raises:
        UserError: a workload cannot be loaded, a model cannot be built, the batch is larger than the data,
            the budget does not suit the workload, or a user's own code fails.
    """
    # Beside training of the user's own there is no other, and its files are all that is known of it.
    if spec.workload[0].form:
        return _checked(spec)
    found = {}
    for setting in {each.name: each for each in settings(spec)}.values():
        try:
            with contained():
                workload = workload_of(setting.workload, setting.model)
                found[setting.name] = fingerprint_of(setting.workload, setting.model)
        except Exception as error:
            # A user's own workload may raise anything. ValueError and TypeError are this package's own words.
            words = str(error) if isinstance(error, (ValueError, TypeError)) else error_line(error)
            raise UserError(f"{setting.name} cannot be made: {words}") from None
        if spec.budget.batch_size > len(workload.train_x):
            raise UserError(
                f"budget.batch_size is {spec.budget.batch_size}, but {setting.name} has "
                f"{len(workload.train_x)} training examples; lower it to at most that"
            )
    for each in settings(spec):
        try:
            workload_of(each.workload, each.model).check(each.condition.budget)
        except ValueError as error:
            raise UserError(f"{each.name}: {error}") from None
    for setting in {(each.name, each.optimizer): each for each in settings(spec)}.values():
        rehearse(spec, setting, workload_of(setting.workload, setting.model))
    return found


def _checked(spec: StudySpec) -> dict[str, str]:
    """The hashes of the files of the user's own training, by the setting's name."""
    for workload in spec.workload:
        try:
            check_function(workload)
        except ValueError as error:
            raise UserError(f"{workload.name} cannot train: {error}") from None
    return {setting.name: setting.workload.source for setting in settings(spec)}
