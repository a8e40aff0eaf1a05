"""Raw samples as packed bytes on PostgreSQL too: smaller, and cheaper to read.

Each row is written anew, about two million of them a minute. Agents keep what they
take meanwhile.

A hub of before may still run for a moment. COPY would take its arrays for bytes, so
they are refused, and in such a way that it waits instead of giving its samples up.
"""

from __future__ import annotations

from django.db import migrations

import hub.storage.fields
from hub.storage.operations import VendorSQL

# PostgreSQL sends a float4 as big-endian bytes.
_PACKED = """
CREATE FUNCTION storage_packed(real[]) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(string_agg(
    substring(b FROM 4) || substring(b FROM 3 FOR 1)
      || substring(b FROM 2 FOR 1) || substring(b FROM 1 FOR 1),
    '' ORDER BY place), '')
  FROM unnest($1) WITH ORDINALITY AS item (value, place),
    LATERAL (SELECT float4send(value) AS b) AS sent
$$;
"""

# Four bytes are a number by integer arithmetic alone. Powers of two are exact in a
# double, and so is every float4. OFFSET 0 keeps each step from being done again for
# each mention of what it gives: the long row would be taken apart forty times.
_BITS = " | ".join(f"(get_byte(four, {byte}) << {8 * byte})" for byte in range(4))
_VALUE = """
CASE
  WHEN (bits >> 23) & 255 < 255 THEN
    (CASE WHEN bits < 0 THEN -1 ELSE 1 END)
    * ((bits & 8388607) + CASE WHEN (bits >> 23) & 255 > 0 THEN 8388608 ELSE 0 END)
    * power(2::double precision, greatest((bits >> 23) & 255, 1) - 150)
  WHEN bits & 8388607 > 0 THEN 'NaN'
  WHEN bits < 0 THEN '-Infinity'
  ELSE 'Infinity'
END::real
"""

_UNPACKED = f"""
CREATE FUNCTION storage_unpacked(bytea) RETURNS real[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(array_agg({_VALUE} ORDER BY at), '{{}}')
  FROM generate_series(1, length($1), 4) AS at,
    LATERAL (SELECT substring($1 FROM at FOR 4) AS four OFFSET 0) f,
    LATERAL (SELECT {_BITS} AS bits OFFSET 0) b
$$;
"""

_VIEW = """
CREATE VIEW metric_points AS
SELECT s.time, m.machine_id AS machine, d.name AS metric, p.attributes, v.value
FROM storage_sample s
JOIN machines_machine m ON m.id = s.machine_id
JOIN storage_layoutseries p ON p.layout_id = s.layout_id
JOIN storage_metric d ON d.id = p.metric_id
"""
_PACKED_VIEW = f"""
{_VIEW}
CROSS JOIN LATERAL (
  SELECT substring(s.values FROM p.position * 4 + 1 FOR 4) AS four
  WHERE length(s.values) >= p.position * 4 + 4 OFFSET 0
) f
CROSS JOIN LATERAL (SELECT {_BITS} AS bits OFFSET 0) b
CROSS JOIN LATERAL (SELECT {_VALUE} AS value OFFSET 0) v
WHERE v.value <> 'NaN'::real;
"""
_ARRAY_VIEW = f"""
{_VIEW}
CROSS JOIN LATERAL (SELECT s.values[p.position + 1] AS value) v
WHERE v.value <> 'NaN'::real;
"""


# One dimension, no nulls, of float4: how PostgreSQL's binary form of an array begins.
_ARRAY = "'\\x0000000100000000000002bc'"
_GUARD = f"""
CREATE FUNCTION storage_refuse_arrays() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'This hub is older than its database: start the new version.'
    USING ERRCODE = 'cannot_connect_now';
END $$;
ALTER TABLE storage_sample ADD CONSTRAINT storage_sample_packed
  CHECK (substring(values FROM 1 FOR 12) <> {_ARRAY} OR storage_refuse_arrays());
"""
_NO_GUARD = """
ALTER TABLE storage_sample DROP CONSTRAINT storage_sample_packed;
DROP FUNCTION storage_refuse_arrays;
"""


def _as(kind: str, by: str, function: str, view: str) -> str:
    """Return what makes the column one of another type, and the view one of it."""
    return f"""
SET LOCAL statement_timeout = 0;
DROP VIEW metric_points;
{function}
ALTER TABLE storage_sample ALTER COLUMN values TYPE {kind} USING {by}(values);
ALTER TABLE storage_sample ALTER COLUMN values SET STATISTICS 0;
DROP FUNCTION {by};
{view}
"""


_FORWARDS = _as("bytea", "storage_packed", _PACKED, _PACKED_VIEW) + _GUARD
_BACKWARDS = _NO_GUARD + _as("real[]", "storage_unpacked", _UNPACKED, _ARRAY_VIEW)


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0006_layout_last_used"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="sample",
                    name="values",
                    field=hub.storage.fields.PackedField(),
                ),
            ],
            database_operations=[
                # SQLite has had them so from the start.
                VendorSQL(
                    forwards={"postgresql": _FORWARDS},
                    backwards={"postgresql": _BACKWARDS},
                ),
            ],
        ),
    ]
