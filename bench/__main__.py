"""Run every bench in turn: `make bench`. `README.md` says what each tells."""

from __future__ import annotations

from functools import partial

from bench import agent, ingest, latency, pages, query


def main() -> None:
    for title, run in (
        ("sample taken -> frame in a WebSocket", latency.main),
        ("the agent's own cost", agent.main),
        ("pages with 1,000 machines", pages.main),
        ("long ranges", query.main),
        ("ingest, as fast as it goes", partial(ingest.main, ["--saturated"])),
        ("ingest, one tick at a time", partial(ingest.main, ["--ticks"])),
    ):
        print(f"\n== {title}")
        run()


if __name__ == "__main__":
    main()
