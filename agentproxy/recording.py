"""
The part of the object graph that keeps the books: prices, who calls, the ledger, the record store and its readers.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from agentproxy.admin.reading import ReadingThread, Records
from agentproxy.agents.identifier import Identifier
from agentproxy.config import Settings
from agentproxy.observe.feed import Feed
from agentproxy.observe.ledger import Ledger
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.own_prices import load_own
from agentproxy.observe.pricing import Prices
from agentproxy.observe.redact import Redactor
from agentproxy.observe.redact_content import ContentRedactor, head_json
from agentproxy.records.queries import Store
from agentproxy.records.schema import FILE
from agentproxy.records.writer import Writer

LAST_WRITE = 5.0
"""Seconds that the store has, at the end, to write what it was given."""


class Recording:
    """
    :param settings: the whole configuration.
    :param redactor: knows the secrets that no record may hold.
    :raises ConfigError: the file of one's own prices is wrong.
    :ivar ledger: what the provider ports tell their calls to.
    :ivar writer: the record store's; ``None``: nothing is recorded.
    :ivar shown: what the admin port shows of it.
    """

    def __init__(
        self, reactor: Any, settings: Settings, observer: Observer, metrics: Metrics, redactor: Redactor
    ) -> None:
        record = settings.record
        self._reactor = reactor
        self._observer = observer
        feed = Feed()
        self._reading = ReadingThread(reactor)
        self.shown = Records(
            open=None if record.content == "off" else partial(Store, Path(record.directory) / FILE, self._stopped),
            run=self._reading,
            feed=feed,
        )
        self.writer: Writer | None = None
        content = ContentRedactor(redactor)
        if record.content != "off":
            self.writer = Writer(
                Path(record.directory),
                clean=content.clean,
                told=self._told,
                days=record.days,
                megabytes=record.megabytes,
            )
            writer = self.writer
            content.between = writer.meanwhile
            metrics.records_lost = lambda: writer.lost
        self.ledger = Ledger(
            observer,
            Prices(load_own(record.prices) if record.prices is not None else {}),
            Identifier(),
            seconds=reactor.seconds,
            wall=time.time,
            publish=feed.publish,
            sink=self.writer,
            clean=head_json if record.content == "full" else None,
            content_bytes=record.content_bytes,
        )

    def start(self) -> None:
        """Begin to write."""
        if self.writer is not None:
            self.writer.start()

    def stop(self) -> None:
        """Write what is left, and read no more."""
        self._reading.stop()
        writer = self.writer
        if writer is not None:
            before = writer.lost
            writer.stop(LAST_WRITE)
            if writer.lost > before:
                # The thread's own word of it would come when nobody listens any more.
                why = f"not written within {LAST_WRITE:g} s of the end"
                self._observer.event("record.lost", "error", why=why, count=writer.lost - before)

    def _stopped(self) -> bool:
        return self._reading.stopped

    def _told(self, event: str, level: str, **keys: object) -> None:
        """From the writer's thread."""
        self._reactor.callFromThread(self._observer.event, event, level, **keys)
