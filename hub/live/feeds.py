"""The feed of each event loop: where sockets join."""

from __future__ import annotations

import asyncio

from hub import metrics
from hub.live.feed import Feed

_feeds: dict[asyncio.AbstractEventLoop, Feed] = {}
metrics.SOCKETS.follow(lambda: sum(len(feed.fanout) for feed in [*_feeds.values()]))


def get_feed() -> Feed:
    """Return the feed of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _feeds:
        set_feed(Feed())
    return _feeds[loop]


def set_feed(feed: Feed) -> None:
    """Put another feed in place for the running event loop."""
    for ended in [one for one in _feeds if one.is_closed()]:
        del _feeds[ended]
    _feeds[asyncio.get_running_loop()] = feed
