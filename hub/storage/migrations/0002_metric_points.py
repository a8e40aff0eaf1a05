"""The view `metric_points`: one plain row per value, for SQL and Grafana users."""

from __future__ import annotations

from django.db import migrations

from hub.storage.operations import VendorSQL

POSTGRESQL = """
CREATE VIEW metric_points AS
SELECT s.time, m.machine_id AS machine, d.name AS metric, p.attributes, v.value
FROM storage_sample s
JOIN machines_machine m ON m.id = s.machine_id
JOIN storage_layoutseries p ON p.layout_id = s.layout_id
JOIN storage_metric d ON d.id = p.metric_id
CROSS JOIN LATERAL (SELECT s.values[p.position + 1] AS value) v
WHERE v.value <> 'NaN'::real
"""

# Any SQLite shell can read this: a value's four bytes become a number by integer
# arithmetic alone. Powers of two are shifts of at most 60, so every step is exact.
_BYTE = (
    "(instr('0123456789ABCDEF', substr(h, {0}, 1)) - 1) * 16"
    " + instr('0123456789ABCDEF', substr(h, {1}, 1)) - 1"
)
_BITS = " | ".join(
    f"(({_BYTE.format(2 * byte + 1, 2 * byte + 2)}) << {8 * byte})" for byte in range(4)
)
SQLITE = f"""
CREATE VIEW metric_points AS
SELECT time, machine, metric, attributes,
  CASE WHEN exponent = 255 THEN sign * 9e999 ELSE sign
    * (fraction + (exponent > 0) * 8388608)
    * (1 << min(max(power, 0), 60)) * (1 << max(power - 60, 0)) * 1.0
    / (1 << min(max(-power, 0), 60))
    / (1 << min(max(-power - 60, 0), 60))
    / (1 << max(-power - 120, 0))
  END AS value
FROM (
  SELECT time, machine, metric, attributes,
    CASE WHEN (bits >> 31) = 1 THEN -1.0 ELSE 1.0 END AS sign,
    (bits >> 23) & 255 AS exponent,
    bits & 8388607 AS fraction,
    max((bits >> 23) & 255, 1) - 150 AS power
  FROM (
    SELECT time, machine, metric, attributes, {_BITS} AS bits
    FROM (
      SELECT s.time, m.machine_id AS machine, d.name AS metric, p.attributes,
        hex(substr(s."values", p.position * 4 + 1, 4)) AS h
      FROM storage_sample s
      JOIN machines_machine m ON m.id = s.machine_id
      JOIN storage_layoutseries p ON p.layout_id = s.layout_id
      JOIN storage_metric d ON d.id = p.metric_id
    )
  )
)
WHERE NOT (exponent = 255 AND fraction <> 0)
"""
DROP = "DROP VIEW metric_points"


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0001_initial"),
        ("machines", "0001_initial"),
    ]

    operations = [
        VendorSQL(
            forwards={"postgresql": POSTGRESQL, "sqlite": SQLITE},
            backwards={"postgresql": DROP, "sqlite": DROP},
        ),
    ]
