"""How many queries pages make: few, and as many for thirty rows as for two."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from marketplace.delivery.models import Delivery
from marketplace.participants.models import Participant
from marketplace.participants.usecases.block_participant import block_participant
from marketplace.participants.usecases.issue_key import issue_key
from marketplace.participants.usecases.transfer_credits import transfer_credits
from marketplace.tasks.models import Task
from tests.builders.assets import a_skill
from tests.builders.people import a_person, an_agent, an_agent_of
from tests.builders.staff import a_case, a_freeze
from tests.builders.talk import a_file, say
from tests.builders.trees import a_task_to_split, accepted, an_entry, split
from tests.builders.trees import held as claimed_by
from tests.builders.work import (
    a_claimed_task,
    a_submitted_delivery,
    a_task,
    an_exact_check,
    deliver,
    everything_handled,
    rejected,
)
from tests.credits.books import seal_everything
from tests.web.reading import links_of, signed_in

pytestmark = pytest.mark.django_db

MOST = 12


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as made:
        assert client.get(path).status_code == 200
    return len(made)


def claimed(ada: Participant) -> None:
    a_claimed_task(ada, a_person(), tags=["csv"])
    everything_handled()


def keyed(ada: Participant) -> None:
    issue_key(participant_id=ada.pk, name="key", seed=b"s" * 32)


def paid(ada: Participant) -> None:
    """Give a wallet a line of everything that a statement looks up."""
    bo, skill = a_person(), a_skill()
    transfer_credits(actor=ada, to=bo.handle, amount=1)
    transfer_credits(actor=bo, to=ada.handle, amount=1)
    page = f"/assets/{skill.asset.reference}"
    signed_in(ada).post(page, {"version": skill.number, "max_charge": "0.1"})


def earned(ada: Participant) -> None:
    """Let somebody earn what waits, with a part of a task."""
    (part,) = split(a_task_to_split())
    accepted(claimed_by(part, ada))


def sealed(ada: Participant) -> None:
    paid(ada)
    seal_everything()


def reported(ada: Participant) -> None:
    a_case(a_person().handle, reporter=ada)


def blocked(ada: Participant) -> None:
    block_participant(actor=ada, handle=a_person().handle)


def frozen(ada: Participant) -> None:
    a_freeze(an_agent_of(ada))


@pytest.mark.parametrize(
    ("path", "add"),
    [
        ("/reports", reported),
        ("/blocks", blocked),
        ("/freezes", frozen),
        ("/tasks?poster={handle}", claimed),
        ("/tasks?fits=on&tag=for-all", lambda _: a_task(tags=["for-all"])),
        ("/assets?owner={handle}", a_skill),
        ("/wallet", sealed),
        ("/wallet?kind=earning", earned),
        ("/tasks?worker={handle}", earned),
        ("/seals", sealed),
        ("/notifications", claimed),
        ("/keys", keyed),
    ],
)
def test_a_list_makes_few_queries_whatever_its_length(
    path: str, add: Callable[[Participant], object]
) -> None:
    ada = a_person()
    client, path = signed_in(ada), path.format(handle=ada.handle)
    for _ in range(2):
        add(ada)
    of_two = queries_of(client, path)
    for _ in range(5):
        add(ada)

    of_seven = queries_of(client, path)

    assert of_seven == of_two <= MOST


def test_the_front_page_makes_few_queries() -> None:
    for _ in range(3):
        a_task(tags=["csv"])
    split(a_task_to_split())

    assert queries_of(Client(), "/") <= 4  # one of them names what the parts are parts of
    assert queries_of(signed_in(a_person()), "/") <= MOST


def test_a_thread_makes_as_many_queries_for_three_deliveries_as_for_one() -> None:
    first = a_submitted_delivery(verification=[an_exact_check(), an_exact_check("again")])
    ada, path = first.task.poster, f"/tasks/{first.task.public_id}"
    of_one = queries_of(signed_in(ada), path)
    rejected(first)
    second = deliver(_held(first))
    rejected(second)
    deliver(_held(second))

    assert queries_of(signed_in(ada), path) == of_one <= 20


def test_a_tree_makes_as_many_queries_for_six_parts_as_for_two() -> None:
    ada, bo, cy = a_person(), a_person(), a_person()

    def queries(number: int) -> list[int]:
        """Return how many the pages of a task and of a part that builds on others make."""
        whole = a_task_to_split(ada, bo)
        keys = [f"k{n}" for n in range(number)]
        for part in split(whole, *(an_entry(key) for key in keys)):
            worker = an_agent()
            accepted(claimed_by(part, worker), files=[a_file(worker).pk])
        (last,) = split(whole, an_entry("last", depends_on=tuple(keys)))
        claimed_by(last, cy)
        paths = [f"/tasks/{one.public_id}" for one in (whole, last)]
        return [
            *(queries_of(signed_in(one), paths[0]) for one in (ada, bo, a_person())),
            *(queries_of(signed_in(one), paths[1]) for one in (ada, bo, cy)),
            queries_of(signed_in(bo), f"{paths[0]}/split"),
        ]

    of_two = queries(2)

    assert queries(6) == of_two
    assert max(of_two) <= 28


def test_messages_make_as_many_queries_for_four_as_for_one() -> None:
    task = a_claimed_task()
    assert task.worker is not None
    client = signed_in(task.poster)
    paths = (f"/tasks/{task.public_id}", f"/tasks/{task.public_id}/messages")
    say(task, task.worker, attachments=[a_file(task.worker).pk])
    of_one = [queries_of(client, path) for path in paths]
    for _ in range(3):
        say(task, task.worker, attachments=[a_file(task.worker).pk])

    assert [queries_of(client, path) for path in paths] == of_one
    assert of_one[1] <= MOST


def _held(delivery: Delivery) -> Task:
    return Task.objects.select_related("worker").get(pk=delivery.task_id)


def test_the_page_of_an_asset_makes_as_many_queries_for_six_dependencies_as_for_one() -> None:
    reader = signed_in(a_person())
    one = a_skill(dependencies=[a_skill()])
    many = a_skill(dependencies=[a_skill() for _ in range(6)])

    of_one = queries_of(reader, f"/assets/{one.asset.reference}")

    assert queries_of(reader, f"/assets/{many.asset.reference}") == of_one <= 25


def test_a_proof_makes_few_queries_whatever_is_in_its_block() -> None:
    ada = a_person()
    client = signed_in(ada)
    seal_everything()
    alone = next(link for link in links_of(client.get("/wallet")) if link.endswith("/proof"))
    for _ in range(4):
        paid(ada)
    seal_everything()
    among = next(link for link in links_of(client.get("/wallet")) if link.endswith("/proof"))

    assert queries_of(client, alone) == queries_of(client, among) <= MOST
    assert alone != among
