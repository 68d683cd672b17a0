"""Every public error of the domain has a meaning in HTTP, or a reason why it needs none."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
from rest_framework.exceptions import APIException

from marketplace.api.problems import BY_ERROR, CATALOGUE, FIELD_ERRORS, Problem

PACKAGES = ("credits", "assets", "marketplace")
# Not the domain's: what no request reaches, and which ends with a message where it fails.
ASIDE = ("marketplace.embedded", "marketplace.foundation.environment", "marketplace.simulation")
# What no request can cause. Where it happens all the same, it is a bug and a 500 is its answer.
NEVER_ANSWERED = {
    "Incomplete": "a form of the admin says it itself",
    "LedgerError": "only the base of the ledger's errors",
    "UnbalancedLegs": "a division adds up, or asserts first",
    "InvalidText": "serializers bound every text that reaches the ledger",
    "InvalidReference": "references are made of ids",
    "UnknownAccount": "accounts are opened with their participant",
    "AccountNotEmpty": "only settled escrows are closed",
    "AccountStaysOpen": "nobody closes derived accounts",
    "UnknownPosting": "no call names a posting",
    "AlreadyReversed": "no call reverses",
    "EscrowMismatch": "an escrow holds the bounty, or the books are wrong",
    "AppendOnly": "nothing changes what the ledger recorded",
    "OutOfSequence": "the sealer alone writes blocks, one after the other",
    "Malformed": "ends the offline verifier with a message",
    "RoleTooPowerful": "ends a migration with a message",
    "DatabaseRestored": "an operator has to act; until then nothing may be posted",
    "TooLarge": "bundles are checked first, and uploads answer file_too_large",
    "Missing": "ends as a verdict, inside the process of a check",
    "AuditRuns": "staff read it on their page or from a command",
    "NotAuditedSince": "staff read it on their page or from a command",
    "BooksAreWrong": "staff read it on their page or from a command",
    "Overdue": "run_in_transaction commits what is due and runs the use case again",
}


def public_errors() -> Iterator[type[Exception]]:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for found in pkgutil.walk_packages(path, f"{package}."):
            if found.name.startswith(ASIDE) or found.name.endswith(("wsgi", "__main__")):
                continue
            module = importlib.import_module(found.name)
            yield from (
                thing
                for name, thing in vars(module).items()
                if inspect.isclass(thing)
                and issubclass(thing, Exception)
                and thing.__module__ == found.name
                and not name.startswith("_")
            )


ERRORS = sorted(public_errors(), key=lambda error: (error.__module__, error.__name__))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_public_error_has_a_meaning_in_http(error: type[Exception]) -> None:
    if issubclass(error, APIException):
        assert error.default_code in CATALOGUE
        assert CATALOGUE[error.default_code].status == error.status_code
        return
    has_meaning = any(kind in BY_ERROR or kind in FIELD_ERRORS for kind in error.__mro__)
    assert has_meaning != (error.__name__ in NEVER_ANSWERED)


def test_no_reason_is_given_for_what_does_not_exist() -> None:
    assert set(NEVER_ANSWERED) <= {error.__name__ for error in ERRORS}


@pytest.mark.parametrize("problem", CATALOGUE.values(), ids=lambda problem: problem.code)
def test_every_problem_says_what_to_do_next(problem: Problem) -> None:
    assert 400 <= problem.status < 600
    assert problem.hint.endswith(".")
    assert problem.code == problem.code.lower().replace("-", "_")
    assert set(problem.credits) <= set(problem.facts)
