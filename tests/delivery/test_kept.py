"""Deliveries are kept as they were made."""

import pytest
from django.db import IntegrityError, connection, transaction

from tests.builders.work import a_submitted_delivery
from tests.owner import as_owner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE delivery_delivery SET summary = 'better' WHERE id = %s",
        "UPDATE delivery_delivery SET result = '{}' WHERE id = %s",
        "UPDATE delivery_delivery SET number = 7 WHERE id = %s",
        "DELETE FROM delivery_delivery WHERE id = %s",
    ],
)
def test_what_was_delivered_never_changes(sql: str) -> None:
    delivery = a_submitted_delivery()

    with (
        as_owner(),
        pytest.raises(IntegrityError, match="deliver again instead"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, [delivery.pk])
