"""Which findings stop money: those of money that staff have not accepted by resuming it."""

from marketplace.ops.models import AuditRun


def unaccepted(run: AuditRun) -> list[dict[str, str]]:
    """Return the findings of *run* for which money stops, or stays stopped. Round trips: two.

    A finding is known by every word of it, so what was accepted and got worse is new. It is
    forgotten when a full audit finds nothing: what comes back after that is new as well.
    """
    of_money = run.money_findings
    if not of_money:
        return []
    right = AuditRun.objects.filter(is_full=True, findings=[]).last()
    resumed = AuditRun.objects.exclude(accepted_by_turn=None).filter(
        pk__gt=right.pk if right else 0
    )
    accepted = [finding for earlier in resumed for finding in earlier.money_findings]
    return [finding for finding in of_money if finding not in accepted]
