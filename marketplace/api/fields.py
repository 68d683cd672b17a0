"""Serializer fields for the contract's own types: credits, ids, strict bodies and queries."""

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError

from credits import amounts
from marketplace.api.parsers import check_storable, read_json
from marketplace.foundation import ids
from marketplace.tasks.division import BASIS_POINTS

CREDITS_SCHEMA = {
    "type": "string",
    "pattern": r"^-?\d+(\.\d{1,6})?$",
    "description": "Credits as a decimal string with at most 6 places.",
    "examples": ["25", "0.1"],
}


@extend_schema_field(CREDITS_SCHEMA)
class CreditsField(serializers.Field[int, Any, str, Any]):
    """Micro-credits inside, a decimal string outside; whole JSON numbers are read as well."""

    default_error_messages = {"out_of_bounds": "Send a positive amount."}

    def __init__(self, *, positive: bool = True, **kwargs: Any) -> None:
        self.positive = positive
        super().__init__(**kwargs)

    def to_internal_value(self, data: object) -> int:
        try:
            micro = amounts.parse(data)
        except amounts.MalformedAmount as error:
            raise ValidationError(str(error), code=error.code) from error
        if self.positive and micro == 0:
            self.fail("out_of_bounds")
        return micro

    def to_representation(self, value: int) -> str:
        return amounts.format(value)


SHARE_SCHEMA = {
    "type": "string",
    "pattern": r"^(0(\.\d{1,4})?|1(\.0{1,4})?)$",
    "description": "A share from 0 to 1 as a decimal string with at most 4 places.",
    "examples": ["0", "0.25", "1"],
}


@extend_schema_field(SHARE_SCHEMA)
class ShareField(serializers.Field[int, Any, str, Any]):
    """Basis points inside, a decimal string from 0 to 1 outside; JSON numbers are read as well."""

    default_error_messages = {
        "invalid": 'Send a share from 0 to 1 with at most 4 places, such as "0.25".'
    }

    def to_internal_value(self, data: object) -> int:
        # The shortest text of a float that was written with few places is what was written.
        text = repr(data) if isinstance(data, (int, float)) and data is not True else data
        if not isinstance(text, str) or not re.fullmatch(r"0(\.\d{1,4})?|1(\.0{1,4})?", text):
            self.fail("invalid")
        return int(Decimal(text) * BASIS_POINTS)

    def to_representation(self, value: int) -> str:
        return f"{(Decimal(value) / BASIS_POINTS).normalize():f}"


@extend_schema_field(OpenApiTypes.STR)
class IdField(serializers.Field[uuid.UUID, str, str, Any]):
    """A public id of one type."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(**kwargs)

    def to_internal_value(self, data: object) -> uuid.UUID:
        if not isinstance(data, str):
            raise ValidationError(
                f"Expected an id that starts with {self.prefix}_.", code="invalid"
            )
        try:
            return ids.decode(self.prefix, data)
        except ids.WrongIdType as error:
            raise ValidationError(f"{error}.", code="wrong_id_type") from error

    def to_representation(self, value: uuid.UUID) -> str:
        return ids.encode(self.prefix, value)


class TextField(serializers.CharField):
    """A text as given: not trimmed, and a number is not a text."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            raise ValidationError("Send a string.", code="invalid")
        if not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A JSON integer; "5" and 5.0 are not."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            raise ValidationError("Send a whole number.", code="invalid")
        return super().to_internal_value(data)


class NumberField(serializers.FloatField):
    """A JSON number; "5" and true are not."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            raise ValidationError("Send a number.", code="invalid")
        return super().to_internal_value(data)


class TruthField(serializers.BooleanField):
    """A JSON true or false; "yes" and 1 are not."""

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            raise ValidationError("Send true or false.", code="invalid")
        return data


class JSONTextField(serializers.CharField):
    """JSON in a part of a form, read as strictly as a body."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=10_000, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        try:
            return read_json(super().to_internal_value(data).encode())
        except ParseError as error:
            raise ValidationError(str(error.detail), code="malformed_json") from error


class ShortListField(serializers.ListField):
    """A list whose length is looked at before its items: a long one costs nothing."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, (list, tuple)) and len(data) > (self.max_length or 0):
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a typo must not be silently dropped."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                known = ", ".join(sorted(self.fields))
                raise ValidationError(
                    {
                        name[:100]: [
                            serializers.ErrorDetail(
                                f"Unknown field; this call takes {known}.", code="unknown_field"
                            )
                        ]
                        for name in unknown[:20]
                    }
                )
        return super().to_internal_value(data)


class QuerySerializer(StrictSerializer):
    """Query parameters; each may stand once, and all must be known."""

    def __init__(self, **kwargs: Any) -> None:
        data = kwargs.get("data")
        self.twice: list[str] = []
        if isinstance(data, QueryDict):
            self.twice = [name for name, values in data.lists() if len(values) > 1]
            kwargs["data"] = data.dict()
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        for name in self.twice:
            raise ValidationError({name: ["Send it once."]}, code="duplicate")
        for name, value in data.items():
            try:
                check_storable(str(value))
            except ValueError as error:
                raise ValidationError({name: [f"{error}."]}, code="invalid") from error
        return super().to_internal_value(data)
