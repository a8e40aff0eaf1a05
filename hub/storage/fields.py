"""Columns that hold a value for each series of a layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _Base = models.Field[bytes, bytes]
    _Binary = models.BinaryField[bytes, bytes]
else:
    # Django's own classes take no type arguments.
    _Base = models.Field
    _Binary = models.BinaryField


class PackedField(_Binary):
    """32-bit floats as they came over the wire: little-endian, one after the other.

    `numpy.frombuffer(value, "<f4")` reads them. Nothing on the way from the agent to
    a chart needs them as Python floats, nor an array's header and a length beside
    each of them; in SQL the view `metric_points` has them as numbers.
    """

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> bytes | None:
        return None if value is None else bytes(value)


class VectorField(_Base):
    """The same in Python; `real[]` on PostgreSQL, which can pick some of its places."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "real[]" if connection.vendor == "postgresql" else "BLOB"

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> bytes | None:
        if value is None or isinstance(value, bytes):
            return value
        return np.array(value, "<f4").tobytes()

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if value is None or connection.vendor != "postgresql":
            return value
        return np.frombuffer(value, "<f4").tolist()
