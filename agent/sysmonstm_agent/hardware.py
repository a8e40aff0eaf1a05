"""What GPUs and disks have in common, named as OpenTelemetry names hardware."""

from __future__ import annotations

from sysmonstm_agent.metric import Metric

TEMPERATURE = Metric("hw.temperature", "Cel", "How warm a piece of hardware is.")
