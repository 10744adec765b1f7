"""What turns cost, what is counted and told of them, and that no broken part of the books reaches a call."""

from __future__ import annotations

import json
from typing import Any

from agentproxy.observe.ledger import Page
from agentproxy.observe.pages import HttpPage
from agentproxy.observe.pricing import Prices
from agentproxy.records.values import TurnRecord
from agentproxy.usage import Usage
from tests.observe.ledger_case import LedgerCase, _own, turn
from tests.observe.page_case import (
    SSE,
    BrokenIdentifier,
    BrokenPrices,
    BrokenSink,
    answers,
    dump,
    events,
)
from tests.providers import response_shapes as shapes


class CostTests(LedgerCase):
    def tearDown(self) -> None:
        self.assert_no_fault()

    def test_own_price(self) -> None:
        """A turn costs what one's own prices say, and says which they were."""
        prices = Prices({"gpt-5.5*": _own(2, 10)})
        record = self.settled(turn(Usage(1000, 100)), prices=prices)
        self.assertEqual((record.cost_micro_usd, record.price_version), (1000 * 2 + 100 * 10, prices.version))

    def test_model(self) -> None:
        """It costs what the model that answered does; where none said so, what was asked for."""
        prices = Prices({"one": _own(1, 1), "two": _own(2, 2)})
        for asked, answered, cost in (
            ("one", "two", 2200),
            ("one", None, 1100),
            (None, "two", 2200),
            (None, None, None),
        ):
            made = turn(Usage(1000, 100), model_asked=asked, model_answered=answered)
            record = self.settled(made, prices=prices)
            self.assertEqual((record.cost_micro_usd, record.price_version is None), (cost, cost is None))

    def test_estimate(self) -> None:
        """An estimate is priced too, and says that it is one."""
        made = turn(Usage(1000, 100), source="estimated", status="unsettled")
        record = self.settled(made, prices=Prices({"gpt-5.5*": _own(1, 1)}))
        self.assertEqual((record.cost_micro_usd, record.source, record.status), (1100, "estimated", "unsettled"))
        self.assertEqual(sum(self.series("tokens_total").values()), 1100)

    def test_unknown(self) -> None:
        """A model of no known price costs nothing that is known, and not 0; its tokens count."""
        record = self.settled(turn(model_answered="surprise-1"))
        self.assertEqual((record.cost_micro_usd, record.price_version, record.input_tokens), (None, None, 1000))
        self.assertEqual(self.series("cost_usd_total"), {})
        self.assertEqual(self.series("tokens_total")['model="surprise-1",provider="one",type="input"'], 1000)

    def test_metrics(self) -> None:
        """Tokens and dollars are counted by provider and model, what is 0 is not."""
        prices = Prices({"gpt-5.5*": _own(2, 10)})
        for _ in range(2):
            self.settled(turn(Usage(1000, 100, cache_read_tokens=300)), prices=prices)
        self.settled(turn(Usage(5, 1), model_answered=None, model_asked=None), prices=prices)
        self.settled(turn(None), prices=prices)
        known = 'model="gpt-5.5-2026-09-01",provider="one"'
        unknown = 'model="unknown",provider="one"'
        self.assertEqual(
            self.series("tokens_total"),
            {
                f'{known},type="input"': 2000,
                f'{known},type="output"': 200,
                f'{known},type="cache_read"': 600,
                f'{unknown},type="input"': 5,
                f'{unknown},type="output"': 1,
            },
        )
        [dollars] = self.series("cost_usd_total").items()
        self.assertEqual(
            (dollars[0], round(dollars[1] * 1e6)), (known, sum(each.cost_micro_usd or 0 for each in self.sink.turns))
        )


class EventTests(LedgerCase):
    def tearDown(self) -> None:
        self.assert_no_fault()

    def test_usage(self) -> None:
        """Each turn is told in the log, by these keys and no others."""
        prices = Prices({"gpt-5.5*": _own(1, 1)})
        record = self.settled(turn(), prices=prices)
        [line] = self.events("usage")
        self.assertEqual(
            line,
            {
                "level": "info",
                "event": "usage",
                "id": "id-1",
                "provider": "one",
                "protocol": "http",
                "session": record.session,
                "agent": None,
                "operation": "responses",
                "model": "gpt-5.5-2026-09-01",
                "status": "completed",
                "source": "reported",
                "input_tokens": 1000,
                "output_tokens": 200,
                "cache_read_tokens": 300,
                "cache_write_tokens": 100,
                "reasoning_tokens": 60,
                "cost_micro_usd": record.cost_micro_usd,
                "duration_s": 2.5,
                "first_token_s": 0.75,
            },
        )

    def test_nothing_known(self) -> None:
        """What is not known is null."""
        self.settled(turn(None, model_asked=None, model_answered=None, first_token=None, ended=None))
        [line] = self.events("usage")
        for key in ("model", "input_tokens", "output_tokens", "cost_micro_usd", "duration_s", "first_token_s"):
            self.assertIsNone(line[key], key)

    def test_long_name(self) -> None:
        """A name from outside is cut, in the log and in the record."""
        record = self.settled(turn(model_answered="m" * 5000))
        self.assertEqual((len(self.events("usage")[0]["model"]), len(record.response_model or "")), (100, 256))

    def test_secrets(self) -> None:
        """What looks like a credential is in no text of a record, the log or the metrics, whoever put it there."""
        secret = "sk-proj-Zq7LmXo93KpVb2NhYr5WcGt"
        fields = ("lane", "model_asked", "model_answered", "response_id", "stop_reason")
        record = self.settled(turn(**dict.fromkeys(fields, f"a {secret}"), tools=[secret, "shell"]))
        self.assertEqual((record.response_model, record.tools), ("a [redacted]", ["[redacted]", "shell"]))
        for text in (repr(record), json.dumps(self.events("usage")), self.metrics.render()[0].decode()):
            self.assertNotIn("Zq7LmXo93K", text)

    def test_labels(self) -> None:
        """A model that only a client names is no label of its own: of such there could be any number."""
        usage = Usage(input_tokens=5)
        for asked, answered in (("invented", None), ("gpt-5.5", "gpt-5.5"), ("gpt-5.5", None)):
            self.settled(turn(usage, model_asked=asked, model_answered=answered))
        text = self.metrics.render()[0].decode()
        self.assertIn('agentproxy_tokens_total{model="gpt-5.5",provider="one",type="input"} 10.0', text)
        self.assertIn('agentproxy_tokens_total{model="unknown",provider="one",type="input"} 5.0', text)
        self.assertNotIn("invented", text)


class FaultTests(LedgerCase):
    def run_call(self, **parts: Any) -> HttpPage:
        """A call from its begin to its end, of which nothing may raise."""
        books = self.ledger(parts.pop("sink", self.sink), **parts)
        page = self.http(books)
        page.asked(dump({"model": shapes.MODEL, "input": "hi"}))
        page.sent()
        page.begin(answers(200, SSE))
        page.feed(events(shapes.created("resp_1"), shapes.over("resp_1", shapes.usage(5, 0, 5))))
        page.end(True)
        page.ended()
        return page

    def assert_told_once(self, faults: int, error: str) -> None:
        """So many faults, of which the first was told."""
        self.assertEqual(self.observer.faults, faults)
        self.assertEqual([event["error"] for event in self.events("observe.fault")], [error])

    def test_sink(self) -> None:
        """A sink that takes nothing costs the records."""
        self.run_call(sink=BrokenSink())
        self.assert_told_once(2, "OSError")

    def test_prices(self) -> None:
        """Prices that are broken cost the turn's price, and not its record."""
        self.run_call(prices=BrokenPrices())
        self.assert_told_once(1, "KeyError")
        [turn], [_] = self.sink.turns, self.sink.calls
        self.assertEqual((turn.input_tokens, turn.cost_micro_usd, turn.price_version), (5, None, None))

    def test_identifier(self) -> None:
        """Nor does it cost a record that nobody can say who calls."""
        self.run_call(identifier=BrokenIdentifier())
        self.assert_told_once(2, "LookupError")
        [turn], [call] = self.sink.turns, self.sink.calls
        self.assertEqual((turn.session, call.session, turn.input_tokens), (None, None, 5))

    def test_publish(self) -> None:
        """A listener that raises loses nothing of the records."""

        def publish(record: TurnRecord) -> None:
            raise ValueError("secret")

        self.run_call(publish=publish)
        self.assert_told_once(1, "ValueError")
        self.assertEqual((len(self.sink.turns), len(self.sink.calls)), (1, 1))

    def test_socket(self) -> None:
        """So it is with a WebSocket's page."""
        for parts in ({"identifier": BrokenIdentifier()}, {"prices": BrokenPrices()}, {"sink": BrokenSink()}):
            books = self.ledger(parts.pop("sink", self.sink), **parts)  # type: ignore[arg-type]
            page: Page = self.socket(books)
            page.begin(answers(101))
            books.settle(page, turn(), None)
            page.ended()
        self.assertGreaterEqual(self.observer.faults, 3)
