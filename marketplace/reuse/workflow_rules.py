"""What the market asks of a workflow beside its form, before it is published.

Packages that make something of workflows stand above this one and say for themselves what they
take.
"""

from collections.abc import Callable, Iterable

from assets.workflows import Fault, InvalidWorkflow, Workflow

Rule = Callable[[Workflow], Iterable[Fault]]

_rules: list[Rule] = []


def asks(rule: Rule) -> Rule:
    """Register what a workflow has to fulfil.

    Args:
        rule: Yields what is wrong with a well-formed workflow. Its module is imported when its app
            is ready.
    """
    if rule not in _rules:
        _rules.append(rule)
    return rule


def require(workflow: Workflow) -> None:
    """Check that a workflow is one that the market can do something with.

    Raises:
        InvalidWorkflow: It is not.
    """
    faults = [fault for rule in _rules for fault in rule(workflow)]
    if faults:
        raise InvalidWorkflow(faults)
