"""The column that holds a sample's values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _Base = models.Field[bytes, bytes]
else:
    # Django's own class takes no type arguments.
    _Base = models.Field


class VectorField(_Base):
    """A vector of 32-bit floats: `real[]` on PostgreSQL, a BLOB elsewhere.

    In Python it is always `bytes`: little-endian float32s, as they came over
    the wire and as `numpy.frombuffer(value, "<f4")` reads them. Nothing on the
    way from the agent to a chart needs them as Python floats.
    """

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
