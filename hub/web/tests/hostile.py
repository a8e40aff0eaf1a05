"""An agent that lies: every text that it sends is an attack."""

from __future__ import annotations

import queue
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.limits import MAX_COMMAND_BYTES, MAX_TEXT_BYTES
from sysmonstm_proto.metrics_pb2_grpc import (
    ConfigServiceStub,
    ControlServiceStub,
    EnrolmentServiceStub,
    MetricsServiceStub,
)

MARKUP = "<b class=planted>x</b><img src=x onerror=ran()><script>ran()</script>"
TEMPLATE = "{{1337*1337}}{% debug %}${1337*1337}"
# What a template would make of it.
COMPUTED = "1787569"
CELL = "=cmd|'/c calc'!A0"
# Breaks the line, erases what stands before it, turns the reading direction round.
UNSEEN = "a\r\nb: c\x1b[2K\x1b[31md\u202egpj.exe\u2066\u200b\x00"
LONG = "W" * MAX_TEXT_BYTES
NAMES = (MARKUP, TEMPLATE, CELL, UNSEEN, LONG)
# It is a part of an address: this is the worst that is let in.
MACHINE = ("=cmd|'calc'!A0<img src=x onerror=ran()><script>ran(){{1337*1337}}" + LONG)[
    :128
]

_METRICS = (
    ("system.cpu.utilization", "1", ""),
    ("system.memory.utilization", "1", ""),
    ("system.filesystem.utilization", "1", "system.filesystem.mountpoint"),
    ("system.network.io", "By/s", "network.interface.name"),
    ("system.temperature", "Cel", "sensor"),
    ("container.state", "{state}", "container.name"),
    ("container.cpu.usage", "{cpu}", "container.name"),
    ("systemd.unit.failed", "1", "systemd.unit.name"),
    ("hw.gpu.utilization", "1", "hw.name"),
    ("custom.made_up", "furlong", "label"),
)


class Liar:
    """One machine of the name `MACHINE`, a sample each half second."""

    def __init__(self, address: str, token: str) -> None:
        self._channel = grpc.insecure_channel(address)
        secret = f"sma_{secrets.token_urlsafe(32)}"
        self._bearer = (("authorization", f"Bearer {secret}"),)
        self._enrolment = pb.EnrolRequest(
            token=token, machine_id=MACHINE, secret=secret, agent_version=MARKUP
        )
        self._said: queue.Queue[pb.MetricsRequest | None] = queue.Queue(100)
        self._answers: queue.Queue[pb.ControlAnswer | None] = queue.Queue(100)
        self._over, self._known = Event(), Event()
        self._threads = [
            Thread(target=work, daemon=True)
            for work in (self._stream, self._control, self._measure)
        ]

    def start(self) -> None:
        stub = EnrolmentServiceStub(self._channel)
        assert stub.Enrol(self._enrolment, timeout=60).machine_id == MACHINE
        self._said.put(_hello())
        self._said.put(pb.MetricsRequest(layout=_layout()))
        hello = pb.ControlHello(machine_id=MACHINE, agent_version=MARKUP)
        self._answers.put(pb.ControlAnswer(hello=hello))
        for thread in self._threads:
            thread.start()

    def refuse_settings(self) -> None:
        """Say of the newest settings that they are not taken, and why."""
        stub = ConfigServiceStub(self._channel)
        asked = pb.WatchConfigRequest(machine_id=MACHINE, collectors=list(NAMES))
        call = stub.WatchConfig(asked, timeout=60, metadata=self._bearer)
        version = next(call).version
        call.cancel()
        report = pb.ConfigReport(machine_id=MACHINE, version=version, refused=NAMES)
        stub.ReportConfig(report, timeout=60, metadata=self._bearer)

    def stop(self) -> None:
        self._over.set()
        self._said.put(None)
        self._answers.put(None)
        self._channel.close()
        for thread in self._threads:
            thread.join(5)

    def _measure(self) -> None:
        length, sequence = len(_layout().series), 0
        while not self._over.wait(0.5):
            sequence += 1
            sample = pb.Sample(
                sequence=sequence,
                time_unix_ms=time.time_ns() // 1_000_000,
                layout=1,
                values=struct.pack(f"<{length}f", *[0.97] * length),
            )
            batch = pb.SampleBatch(samples=[sample])
            self._said.put(pb.MetricsRequest(samples=batch))

    def _stream(self) -> None:
        try:
            told = MetricsServiceStub(self._channel).StreamMetrics(
                iter(self._said.get, None), metadata=self._bearer
            )
            for ack in told:
                self._known.set()
                if ack.HasField("ask"):
                    self._said.put(_snapshot(ack.ask.request))
        except (grpc.RpcError, ValueError):
            # The channel was closed: the test is over.
            pass

    def _control(self) -> None:
        # Before that nobody knows the machine that it would be about.
        self._known.wait(10)
        try:
            asked = ControlServiceStub(self._channel).ManageStream(
                iter(self._answers.get, None), metadata=self._bearer
            )
            for command in asked:
                self._answers.put(_answer(command))
        except (grpc.RpcError, ValueError):
            pass


@contextmanager
def liar(address: str, token: str) -> Iterator[Liar]:
    made = Liar(address, token)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def _hello() -> pb.MetricsRequest:
    return pb.MetricsRequest(
        hello=pb.Hello(
            machine_id=MACHINE,
            agent_version=MARKUP,
            os=UNSEEN,
            kernel=TEMPLATE,
            architecture=LONG,
            spool_epoch=secrets.token_bytes(16),
            clock_unix_ms=time.time_ns() // 1_000_000,
            interval_ms=1000,
        )
    )


def _layout() -> pb.Layout:
    return pb.Layout(
        id=1,
        metrics=[
            pb.Metric(name=name, unit=unit, kind=pb.KIND_GAUGE, help=MARKUP)
            for name, unit, _ in _METRICS
        ],
        series=[
            pb.Series(metric=number, attributes={key: name} if key else {})
            for number, (_, _, key) in enumerate(_METRICS)
            for name in (NAMES if key else ("",))
        ],
    )


def _processes() -> list[pb.ProcessEntry]:
    return [
        pb.ProcessEntry(
            pid=number,
            name=name[:MAX_TEXT_BYTES],
            user=name[:MAX_TEXT_BYTES],
            command=(name * 4)[:MAX_COMMAND_BYTES],
            started_unix_ms=time.time_ns() // 1_000_000 - 60_000,
            cpu=0.9,
            memory_bytes=10**8,
            memory=0.5,
        )
        for number, name in enumerate(NAMES, 1)
    ]


def _snapshot(request: int) -> pb.MetricsRequest:
    return pb.MetricsRequest(
        processes=pb.ProcessSnapshot(
            request=request,
            taken_unix_ms=time.time_ns() // 1_000_000,
            span_ms=1000,
            entries=_processes(),
        )
    )


def _answer(command: pb.ControlCommand) -> pb.ControlAnswer:
    told = pb.ControlAnswer(request=command.request)
    match command.WhichOneof("body"):
        case "list_processes":
            told.processes.total = len(NAMES)
            told.processes.span_ms = 1000
            told.processes.taken_unix_ms = time.time_ns() // 1_000_000
            told.processes.entries.extend(_processes())
        case "summarise_connections":
            told.connections.counts.extend(
                pb.ConnectionCount(protocol=name, state=name, count=1) for name in NAMES
            )
        case "diagnose":
            told.diagnostics.agent_version = MARKUP
            told.diagnostics.python_version = UNSEEN
            told.diagnostics.collectors.extend(
                pb.CollectorState(name=name, on=True, failure=name) for name in NAMES
            )
        case "live_mode":
            told.live_mode.CopyFrom(
                pb.LiveModeSet(
                    interval_ms=command.live_mode.interval_ms,
                    lease_ms=command.live_mode.lease_ms,
                )
            )
        case _:
            told.refused = MARKUP + UNSEEN
    return told
