"""Turns of Responses over WebSocket: one after the other, at once, in lanes, prewarmed, refused, and left open."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentproxy.providers.flights import MOST_FLIGHTS, TOO_MANY
from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.usage import FAILED, REFUSED, Turn
from tests.providers.booked import JSON
from tests.providers.booked import NO_JSON as GARBAGE
from tests.providers.response_shapes import (
    CALL,
    DATED,
    MODEL,
    create,
    created,
    delta,
    error,
    item,
    over,
    running,
    usage,
)
from tests.providers.turn_case import Reading, TurnCase, encoded
from tests.wire.splits import PROPERTY


def socket() -> Reading:
    return Reading("/v1/responses", upgrade=True)


def ids(turns: list[Turn]) -> list[str | None]:
    return [turn.response_id for turn in turns]


class OneByOneTests(TurnCase):
    def test_two_turns(self) -> None:
        """Two turns on one socket are two records, each with its own tokens and times."""
        call = socket()
        call.ask(create(input="x" * 100))
        call.tell({"type": "codex.rate_limits"}, created("resp_1"), running("resp_1"), delta("Hi"))
        call.tell(item(**CALL), over("resp_1", usage(100, 0, 10)))
        call.ask(create(previous_response_id="resp_1"))
        call.tell(created("resp_2"), delta("Ho"), over("resp_2", usage(200, 64, 20, 5)))
        first, second = call.close()
        self.assert_used(first, input_tokens=100, output_tokens=10)
        self.assert_used(second, input_tokens=200, cache_read_tokens=64, output_tokens=20, reasoning_tokens=5)
        self.assertEqual((first.started, first.first_token, first.ended), (1.0, 5.0, 7.0))
        self.assertEqual((second.started, second.first_token, second.ended), (8.0, 10.0, 11.0))
        self.assertEqual((first.tools, second.tools, ids(call.turns)), (["shell"], [], ["resp_1", "resp_2"]))
        self.assertEqual((first.model_asked, first.model_answered, first.lane), (MODEL, DATED, None))
        self.assertIsNone(call.degraded)

    def test_prewarm(self) -> None:
        """A prewarm is no turn, however it ends."""
        for ends in (
            [created("resp_0"), over("resp_0", usage(9000, 0, 0))],
            [created("resp_0"), error("server_error")],
            [error("server_error")],
            [created("resp_0")],
            [],
        ):
            call = socket()
            call.ask(create(generate=False))
            call.tell(*ends)
            self.assertEqual(call.close(), [])

    def test_behind_a_prewarm(self) -> None:
        """A turn that follows a prewarm and gets no usage is estimated with what the prewarm put in."""
        call = socket()
        call.ask(create(generate=False))
        call.tell(created("resp_0"), over("resp_0", usage(9000, 0, 0)))
        ask = create(previous_response_id="resp_0")
        call.ask(ask)
        call.tell(created("resp_1"), delta("x" * 40))
        (turn,) = call.close()
        self.assert_used(turn, "estimated", input_tokens=9000 + len(encoded(ask)) // 4, output_tokens=10)

    def test_prewarm_cut_short(self) -> None:
        """A prewarm too long to be read to its `generate` shows itself by generating nothing; a turn does not."""
        request = encoded(create(input="x" * 1000, generate=False))[:200]
        for end, expected in ((usage(900, 0, 0), 0), (usage(900, 0, 1), 1), (None, 1)):
            call = socket()
            call.ask(request)
            call.tell(created("resp_0"), over("resp_0", end))
            self.assertEqual(len(call.close()), expected)
            self.assertIsNone(call.degraded)
        call = socket()
        call.ask(create())
        call.tell(created("resp_0"), over("resp_0", usage(900, 0, 0)))
        self.assertEqual(len(call.close()), 1)

    def test_other_messages(self) -> None:
        """Whatever else the client sends begins no turn."""
        call = socket()
        for kind in ("response.append", "response.processed", "response.steer", "response.inject", "response.cancel"):
            call.ask({"type": kind, "response_id": "resp_1"})
        self.assertEqual((call.close(), call.degraded), ([], None))

    def test_type_last(self) -> None:
        """Wherever the type stands."""
        call = socket()
        call.ask({"model": MODEL, "input": [], "type": "response.create"})
        for message in (created("resp_1"), delta("abc"), over("resp_1", usage(5, 0, 5))):
            call.tell({**{key: message[key] for key in message if key != "type"}, "type": message["type"]})
        (turn,) = call.close()
        self.assert_used(turn, input_tokens=5, output_tokens=5)
        self.assertEqual((turn.model_asked, turn.output_characters), (MODEL, 3))

    def test_twice(self) -> None:
        """The same response is booked once, however often its events come."""
        call = socket()
        call.ask(create())
        call.tell(*[created("resp_1")] * 2, *[over("resp_1", usage(5, 0, 5))] * 3)
        call.ask(create())
        call.tell(over("resp_1", usage(5, 0, 5)), created("resp_1"), running("resp_1"))
        call.tell(created("resp_2"), over("resp_2", usage(6, 0, 6)), over("resp_1", usage(5, 0, 5)))
        self.assertEqual(ids(call.close()), ["resp_1", "resp_2"])

    def test_not_asked_for(self) -> None:
        """A response that nobody asked for, as behind a steered one, is a turn."""
        call = socket()
        call.ask(create(stream_id="a"))
        call.tell(created("resp_1", stream_id="a"), over("resp_1", usage(5, 0, 5), "incomplete", stream_id="a"))
        call.tell(created("resp_2", stream_id="a"), delta("x", stream_id="a"))
        call.tell(over("resp_2", usage(7, 0, 7), stream_id="a"))
        self.assertEqual([(turn.status, turn.lane) for turn in call.close()], [("incomplete", "a"), ("completed", "a")])
        self.assert_used(call.turns[1], input_tokens=7, output_tokens=7)

    def test_only_the_end_seen(self) -> None:
        """An end without a beginning is booked where it has a usage, and not where it says nothing."""
        call = socket()
        call.tell(over("resp_1", usage(5, 0, 5)), over("resp_2", None, "failed"), error("bad"))
        self.assertEqual(ids(call.close()), ["resp_1"])


class AtOnceTests(TurnCase):
    def test_lanes(self) -> None:
        """Turns that run at once in lanes are each told apart, whatever the order of their events."""
        call = socket()
        call.ask(create(stream_id="a", model="model-a"))
        call.ask(create(stream_id="b", model="model-b"))
        call.ask(create(stream_id="a", model="model-c"))
        call.tell(created("resp_b", stream_id="b"), created("resp_a", stream_id="a"))
        call.tell(delta("x" * 3, stream_id="a"), delta("y" * 5, stream_id="b"), delta("x" * 4, stream_id="a"))
        call.tell(item(**CALL) | {"stream_id": "b"})
        call.tell(over("resp_a", usage(10, 0, 1), stream_id="a"), created("resp_c", stream_id="a"))
        call.tell(delta("z", stream_id="a"), over("resp_c", usage(30, 0, 3), stream_id="a"))
        call.tell(over("resp_b", usage(20, 0, 2), stream_id="b"))
        a, c, b = call.close()
        for turn, model, lane, size, first in ((a, "a", "a", 7, 6), (b, "b", "b", 5, 7), (c, "c", "a", 1, 12)):
            self.assertEqual((turn.model_asked, turn.lane), (f"model-{model}", lane))
            self.assertEqual((turn.response_id, turn.output_characters), (f"resp_{model}", size))
            self.assertEqual(turn.first_token, float(first))
        self.assert_used(a, input_tokens=10, output_tokens=1)
        self.assert_used(b, input_tokens=20, output_tokens=2)
        self.assert_used(c, input_tokens=30, output_tokens=3)
        self.assertEqual((a.tools, b.tools, call.degraded), ([], ["shell"], None))

    def test_no_lanes(self) -> None:
        """Without lanes those that were asked for first are created first, and end by their ids."""
        call = socket()
        for model in "abc":
            call.ask(create(model=model))
        call.tell(created("resp_1"), created("resp_2"), delta("x"), created("resp_3"))
        call.tell(over("resp_2", usage(2, 0, 2)), over("resp_3", usage(3, 0, 3)), over("resp_1", usage(1, 0, 1)))
        found = [(turn.model_asked, turn.response_id, turn.usage and turn.usage.input_tokens) for turn in call.close()]
        self.assertEqual(found, [("b", "resp_2", 2), ("c", "resp_3", 3), ("a", "resp_1", 1)])
        self.assertEqual([turn.first_token for turn in call.turns], [None, None, 6.0])

    def test_lanes_not_echoed(self) -> None:
        """Where upstream does not say which lane, the oldest turn is meant."""
        call = socket()
        call.ask(create(stream_id="a"))
        call.ask(create(stream_id="b"))
        call.tell(created("resp_a"), delta("x"), over("resp_a", usage(1, 0, 1)))
        call.tell(created("resp_b"), delta("x"), over("resp_b", usage(2, 0, 2)))
        self.assertEqual([(turn.lane, turn.response_id) for turn in call.close()], [("a", "resp_a"), ("b", "resp_b")])

    def test_ids_that_change(self) -> None:
        """Copilot's ids are others in each event: a lane's turns end in their order."""
        call = socket()
        for _ in range(2):
            call.ask(create())
        long = [f"{number}" * 300 for number in range(8)]
        for number, counts in ((0, (10, 1)), (3, (20, 2))):
            call.tell(created(long[number]), running(long[number + 1]), delta("x"))
            call.tell(over(long[number + 2], usage(counts[0], 0, counts[1])), over(long[number + 2], usage(9, 0, 9)))
        first, second = call.close()
        self.assert_used(first, input_tokens=10, output_tokens=1)
        self.assert_used(second, input_tokens=20, output_tokens=2)

    def test_no_ids(self) -> None:
        """Responses without an id end in their order."""
        call = socket()
        for _ in range(2):
            call.ask(create())
        for number in (1, 2):
            call.tell({"type": "response.created", "response": {}}, delta("x"))
            call.tell({"type": "response.completed", "response": {"usage": usage(number, 0, number)}})
        self.assertEqual([turn.usage and turn.usage.input_tokens for turn in call.close()], [1, 2])

    def test_lost_beginning(self) -> None:
        """A response whose beginning could not be read ends as itself, not as the one beside it."""
        call = socket()
        call.ask(create())
        call.tell(created("resp_1"), b'{"type":"response.created",')
        call.tell(over("resp_2", usage(2, 0, 2)), over("resp_1", usage(1, 0, 1)))
        self.assertEqual(ids(call.close()), ["resp_2", "resp_1"])
        self.assertEqual(call.degraded, BROKEN)

    def test_many(self) -> None:
        """
        Of too many in flight the oldest is given up, and it says so: booked with an estimate if upstream had taken it
        up, else as nothing, or who asks without end would fill the books.
        """
        call = socket()
        for _ in range(MOST_FLIGHTS + 2):
            call.ask(create())
        self.assertEqual((len(call.turns), call.degraded), (0, TOO_MANY))
        for number in range(MOST_FLIGHTS * 3):
            call.tell(created(f"resp_{number}"))
        for turn in call.close():
            self.assert_guessed(turn)
        self.assertEqual(len(call.turns), MOST_FLIGHTS * 3)

    @PROPERTY
    @given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=6), st.randoms(use_true_random=False))
    def test_any_interleaving(self, lanes: list[str | None], random: Any) -> None:
        """However the events of turns in lanes come between each other, each turn has its own tokens."""
        call = socket()
        queues: dict[str | None, list[dict[str, Any]]] = {}
        for number, lane in enumerate(lanes):
            more = {} if lane is None else {"stream_id": lane}
            call.ask(create(model=f"model-{number}", **more))
            identity = f"resp_{number}"
            queues.setdefault(lane, []).extend(
                [
                    created(identity, **more),
                    running(identity, **more),
                    *[delta("x", **more)] * number,
                    over(identity, usage(number + 10, number, number + 1), **more),
                ]
            )
        while queues:
            lane = random.choice(list(queues))
            call.tell(queues[lane].pop(0))
            if not queues[lane]:
                del queues[lane]
        self.assertEqual(len(call.close()), len(lanes))
        for turn in call.turns:
            number = int((turn.response_id or "")[5:])
            self.assertEqual((turn.model_asked, turn.lane), (f"model-{number}", lanes[number]))
            self.assertEqual(turn.output_characters, number)
            self.assert_used(turn, input_tokens=number + 10, cache_read_tokens=number, output_tokens=number + 1)


class ErrorTests(TurnCase):
    def test_error(self) -> None:
        """An error ends its turn, whether that runs or was only asked for, and the next turn is counted."""
        for before, note in (([created("resp_1"), delta("x" * 40)], None), ([], FAILED)):
            for message in (
                {**error("bad"), "status": 500},
                {"type": "error", "error": "bad"},
                {"type": "error", "code": "bad"},
            ):
                call = socket()
                call.ask(create())
                call.tell(*before, message)
                self.assertEqual(len(call.turns), 1)
                call.ask(create())
                call.tell(created("resp_2"), over("resp_2", usage(5, 0, 5)))
                first, second = call.close()
                self.assert_guessed(first, "failed")
                self.assertEqual((first.stop_reason, first.note), ("bad", note))
                self.assert_used(second, input_tokens=5, output_tokens=5)

    def test_refused(self) -> None:
        """What upstream refuses, by a status of the client's own fault, has no tokens, and is told apart."""
        for status, source, note in ((400, "missing", REFUSED), (429, "missing", REFUSED), (500, "estimated", FAILED)):
            call = socket()
            call.ask(create())
            call.tell({"type": "error", "status": status, "error": {"code": "bad"}})
            (turn,) = call.close()
            self.assertEqual((turn.status, turn.source, turn.usage is None), ("failed", source, source == "missing"))
            self.assertEqual((turn.stop_reason, turn.note), ("bad", note))

    def test_error_in_a_lane(self) -> None:
        """An error in a lane ends that lane's turn and no other."""
        call = socket()
        for lane in "ab":
            call.ask(create(stream_id=lane))
            call.tell(created(f"resp_{lane}", stream_id=lane))
        call.tell(error("bad", stream_id="a"), error("bad", stream_id="nobody"))
        call.tell(over("resp_b", usage(5, 0, 5), stream_id="b"))
        self.assertEqual([(turn.lane, turn.status) for turn in call.close()], [("a", "failed"), ("b", "completed")])

    def test_error_of_the_socket(self) -> None:
        """An error without a lane ends a lane's turn only where no other is meant."""
        call = socket()
        for lane in "ab":
            call.ask(create(stream_id=lane))
        call.tell(error("websocket_connection_limit_reached"))
        self.assertEqual(call.turns, [])
        call.tell(created("resp_a", stream_id="a"), over("resp_a", usage(5, 0, 5), stream_id="a"), error("bad"))
        self.assertEqual([(turn.lane, turn.status) for turn in call.close()], [("a", "completed"), ("b", "failed")])

    def test_dropped(self) -> None:
        """A socket that is gone leaves its turns unsettled, each with its estimate."""
        call = socket()
        call.ask(create(stream_id="a"))
        call.ask(create(stream_id="b"))
        call.tell(created("resp_a", stream_id="a"), delta("x" * 80, stream_id="a"))
        running_turn, waiting = call.close()
        for turn, lane, size in ((running_turn, "a", 20), (waiting, "b", 1)):
            self.assert_guessed(turn)
            self.assertEqual((turn.lane, turn.usage and turn.usage.output_tokens), (lane, size))

    def test_behind_the_close(self) -> None:
        """What is told behind the close is nobody's."""
        call = socket()
        call.ask(create())
        self.assertEqual(len(call.close()), 1)
        call.ask(create())
        call.tell(created("resp_1"), over("resp_1", usage(5, 0, 5)))
        self.assertEqual((len(call.close()), call.degraded), (1, None))


class GarbageTests(TurnCase):
    def test_garbage(self) -> None:
        """Garbage from either side is told as a reason, and the turns before and behind it are counted."""
        for odd in GARBAGE:
            call = socket()
            call.ask(create())
            call.ask(odd)
            call.tell(odd, created("resp_1"), odd, over("resp_1", usage(5, 0, 5)))
            call.ask(create())
            call.tell(created("resp_2"), over("resp_2", usage(6, 0, 6)))
            first, second = call.close()
            self.assert_used(first, input_tokens=5, output_tokens=5)
            self.assert_used(second, input_tokens=6, output_tokens=6)
            self.assertIsNotNone(call.degraded, odd[:20])

    def test_reason_has_no_payload(self) -> None:
        """A reason never quotes a message, and the first one stays."""
        call = socket()
        call.tell(created("resp_1"), b"my secret", b'{"type":"secret.made.up"}')
        self.assertEqual(call.degraded, NO_JSON)

    def test_huge(self) -> None:
        """A message of 64 MiB ends its turn by its beginning, and the next is counted."""
        call = socket()
        call.ask(create())
        call.tell(created("resp_1"))
        head = encoded(over("resp_1", usage(5, 0, 5)))
        call.tell(head[:-1] + b',"padding":"' + b"x" * (64 << 20) + b'"}')
        call.ask(create())
        call.tell(created("resp_2"), over("resp_2", usage(6, 0, 6)))
        self.assertEqual(ids(call.close()), ["resp_1", "resp_2"])
        self.assert_used(call.turns[1], input_tokens=6, output_tokens=6)
        self.assertEqual(call.degraded, BROKEN)

    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.booleans(),
                st.binary(max_size=20)
                | st.fixed_dictionaries(
                    {
                        "type": st.sampled_from(
                            [
                                "response.create",
                                "response.created",
                                "response.in_progress",
                                "response.completed",
                                "response.done",
                                "response.output_item.done",
                                "response.output_text.delta",
                                "session.created",
                                "conversation.item.input_audio_transcription.completed",
                                "error",
                            ]
                        )
                    },
                    optional={
                        "response": JSON | st.fixed_dictionaries({"id": st.sampled_from(["r1", "r2"]), "usage": JSON}),
                        "stream_id": st.sampled_from(["a", "b"]) | JSON,
                        "item": JSON,
                        "delta": JSON,
                        "error": JSON,
                        "model": JSON,
                        "session": JSON,
                        "usage": JSON,
                    },
                )
                | JSON,
            ),
            max_size=10,
        )
    )
    def test_anything(self, messages: list[tuple[bool, Any]]) -> None:
        """Whatever comes in whatever order, nothing is raised, and no turn is told twice, or as still running."""
        for path in ("/v1/responses", "/v1/realtime"):
            call = Reading(path, upgrade=True)
            for from_client, message in messages:
                if from_client:
                    call.ask(message)
                else:
                    call.tell(message)
            turns = call.close()
            self.assertEqual(len({id(turn) for turn in turns}), len(turns))
            for turn in turns:
                self.assertNotEqual(turn.status, "running")
                self.assertIsNotNone(turn.ended)
                self.assertNotEqual((turn.source, turn.usage is None), ("reported", True))
            self.assertFalse((call.degraded or "").startswith("the reader raised"), call.degraded)
