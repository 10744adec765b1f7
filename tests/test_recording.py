"""The part of the object graph that keeps the books, as a whole: what `[record]` says is what it does."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from agentproxy.call import Call
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.pages import HttpPage
from agentproxy.observe.redact import Redactor
from agentproxy.recording import Recording
from agentproxy.records import database
from agentproxy.records.errors import NoRecords
from agentproxy.records.queries import Filter, Store
from tests.config_case import ONE, ConfigCase
from tests.observe.page_case import answers, asks, dump

SAID, HEARD = "Tell me of otters", "They hold hands"


class ReactorClock(Clock):
    def callFromThread(self, act: Any, *args: Any, **keys: Any) -> None:
        act(*args, **keys)


class RecordingTests(ConfigCase):
    def books(self, record: str) -> Recording:
        self.folder = Path(self.mktemp()).resolve()
        settings = self.load(f'[record]\ndirectory = "{self.folder}"\n{record}\n{ONE}')
        (self.provider,) = settings.providers
        clock, self.metrics, redactor = ReactorClock(), Metrics("1"), Redactor()
        observer = Observer(EventLog(lambda line: None, clock=clock, wall=time.time), self.metrics, clock)
        self.recording = Recording(clock, settings, observer, self.metrics, redactor)
        self.recording.start()
        self.addCleanup(self.recording.stop)
        return self.recording

    def turn(self) -> None:
        """One turn passes, and is written."""
        call = Call("id-1", "one", "http", "POST", "/v1/responses", 0.0)
        page = HttpPage(self.recording.ledger, call, self.provider, asks())
        page.asked(dump({"model": "gpt-5.5", "input": SAID}))
        page.sent()
        page.begin(answers())
        usage = {"input_tokens": 1_000_000, "output_tokens": 0}
        said = [{"type": "message", "content": [{"type": "output_text", "text": HEARD}]}]
        page.feed(dump({"id": "resp_1", "status": "completed", "model": "gpt-5.5", "output": said, "usage": usage}))
        page.end(True)
        page.ended()
        if self.recording.writer is not None:
            self.assertTrue(self.recording.writer.flush(5))

    def stored(self) -> tuple[list[Any], list[Any]]:
        store = Store(self.folder / "records.sqlite")
        self.addCleanup(store.close)
        turns = list(store.each_turn(Filter()))
        return turns, [part for turn in turns for part in store.content(turn["call_id"])]

    def test_metadata(self) -> None:
        """Unless it is asked for, nothing of what was said is in the records."""
        self.books("")
        self.turn()
        turns, content = self.stored()
        self.assertEqual((len(turns), turns[0]["input_tokens"], content), (1, 1_000_000, []))
        assert self.recording.shown.open is not None
        with closing(self.recording.shown.open()) as store:
            self.assertEqual(len(store.turns(Filter()).rows), 1, "the admin port reads them")
        files = b"".join(path.read_bytes() for path in self.folder.iterdir())
        self.assertNotIn(SAID.encode(), files)
        self.assertNotIn(HEARD.encode(), files)

    def test_full(self) -> None:
        """With content, both are, and of each call as much as is asked for."""
        self.books('content = "full"')
        self.turn()
        self.assertIn(SAID.encode(), b"".join(part["body"] for part in self.stored()[1]))
        self.books('content = "full"\ncontent_bytes = 10')
        self.turn()
        bodies = [part["kept"] for part in self.stored()[1] if part["part"].endswith("_body")]
        self.assertEqual(sum(bodies), 10)

    def test_off(self) -> None:
        """Without records there is no file, and the turns can be followed all the same."""
        self.books('content = "off"')
        followed: list[Any] = []
        self.recording.shown.feed.subscribe(followed.append)
        self.turn()
        self.assertEqual((self.folder.exists(), self.recording.shown.open, len(followed)), (False, None, 1))

    def test_own_prices(self) -> None:
        """One's own prices are what turns cost."""
        prices = Path(self.write('[models."gpt-5.5"]\ninput = 77\noutput = 1\n')).resolve()
        self.books(f'prices = "{prices}"')
        self.turn()
        self.assertEqual(self.stored()[0][0]["cost_micro_usd"], 77)

    def test_bounds(self) -> None:
        """Age and size are the writer's bounds; 0 is none."""
        for text, days, most_bytes in (("days = 3\nmegabytes = 7", 3, 7_000_000), ("days = 0\nmegabytes = 0", 0, None)):
            writer = self.books(text).writer
            assert writer is not None
            self.assertEqual((writer._days, writer._most_bytes), (days, most_bytes))

    def test_lost(self) -> None:
        """What can't be kept is counted in the metrics."""
        self.books("").stop()
        call = Call("id-2", "one", "http", "GET", "/models", 0.0)
        HttpPage(self.recording.ledger, call, self.provider, asks(method=b"GET")).ended()
        self.assertIn(b"agentproxy_records_lost_total 1.0", self.metrics.render()[0])

    def test_end(self) -> None:
        """A query that runs while the service ends, ends with it: nobody waits for what it may take."""
        self.patch(database, "LOOK_UP", 1)
        self.books("")
        self.turn()
        assert self.recording.shown.open is not None
        store = self.recording.shown.open()
        self.addCleanup(store.close)
        self.assertEqual(len(store.usage("day", Filter()).rows), 1)
        self.recording.stop()
        self.assertRaises(NoRecords, store.usage, "day", Filter())
