"""Starting the checks of a delivery when its event is consumed."""

from django.db import transaction

from marketplace.delivery.models import CheckRun
from marketplace.events.models import Event
from marketplace.foundation.ids import decode


def start_checks(event: Event) -> None:
    """Nudge a worker for every check of a delivery that was just submitted.

    The nudge goes out after the commit; the sweep finds runs whose nudge was lost.
    """
    if event.type != "delivery.submitted":
        return
    from marketplace.delivery.verification.jobs import run_check  # noqa: PLC0415 - jobs load late

    runs = CheckRun.objects.filter(delivery=decode("delivery", event.subject_id))
    for run_id in runs.values_list("pk", flat=True):
        transaction.on_commit(lambda run_id=run_id: run_check.delay(run_id=str(run_id)))  # type: ignore[misc]
