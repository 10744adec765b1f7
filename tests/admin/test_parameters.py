"""What a request may ask for."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.admin.parameters import (
    AFTER,
    BY,
    CALL_STATUS,
    LAST_EVENT_ID,
    LIMIT,
    MOST_TEXT,
    SESSION,
    SINCE,
    STATUS,
    UNTIL,
    BadParameter,
    instant,
    read_query,
)
from tests.wire.splits import PROPERTY

ALL = (SINCE, UNTIL, SESSION, STATUS, LIMIT, AFTER, BY, LAST_EVENT_ID)
NOON = 1_795_262_400_000_000
"""2026-11-21T12:00:00Z in microseconds."""


class ParameterTests(SynchronousTestCase):
    def read(self, query, known=ALL, now=0.0):
        return read_query(query, known, now)

    def refused(self, query, known=ALL):
        return str(self.assertRaises(BadParameter, self.read, query, known))

    def test_instants(self):
        """Each form of a time is the microsecond that it means."""
        for text, expected in (
            ("2026-11-21T12:00:00Z", NOON),
            ("2026-11-21t12:00:00z", NOON),
            ("2026-11-21 12:00:00Z", NOON),
            ("2026-11-21T12:00:00", NOON),
            ("2026-11-21T12:00", NOON),
            ("2026-11-21T12:00Z", NOON),
            ("2026-11-21T14:00:00+02:00", NOON),
            ("2026-11-21T14:00:00 02:00", NOON),
            ("2026-11-21T05:30:00-06:30", NOON),
            ("2026-11-21T12:00:00.5Z", NOON + 500_000),
            ("2026-11-21T12:00:00.123456789Z", NOON + 123_456),
            ("2026-11-21T11:59:60Z", NOON),
            ("2026-11-21", NOON - 12 * 3600 * 1_000_000),
            ("1970-01-01", 0),
            ("1969-12-31T23:59:59.25Z", -750_000),
            ("90s", NOON - 90_000_000),
            ("15m", NOON - 900_000_000),
            ("24h", NOON - 86_400_000_000),
            ("7d", NOON - 7 * 86_400_000_000),
            ("2w", NOON - 14 * 86_400_000_000),
            ("0s", NOON),
        ):
            self.assertEqual(instant(text, NOON / 1_000_000), expected, text)

    def test_no_instants(self):
        """What is no time is refused with what one looks like."""
        for text in (
            "", "now", "24", "h", "-1h", "1.5h", "24H", "9999999999d", "2026-13-01", "2026-02-30", "2026-11-21T",
            "26-11-21", "2026-11-21T25:00:00Z", "2026-11-21T12:00:00+24:00", "2026-11-21T12:00:00+0200",
            "2026-11-21T12:00:00Z ", "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59", "2026-W47-6", "٢٠٢٦-11-21", "1795262400",
        ):  # fmt: skip
            error = self.assertRaises(ValueError, instant, text, 0.0)
            self.assertIn("2026-11-21T10:00:00Z", str(error))

    def test_values(self):
        """Values are decoded and read, each as its own kind."""
        query = (
            b"since=1970-01-01&session=a%2Fb+c%C3%A9&status=failed&limit=7&after=x%3D&by=model&last_event_id="
            + b"0f" * 8
        )
        expected = {
            "since": 0, "session": "a/b c\u00e9", "status": "failed", "limit": 7, "after": "x=", "by": "model",
            "last_event_id": "0f" * 8,
        }  # fmt: skip
        self.assertEqual(self.read(query), expected)
        self.assertEqual(self.read(b""), {})
        self.assertEqual(self.read(b"until=1h", now=7200.0), {"until": 3_600_000_000})

    def test_bad_values(self):
        """A value that can't be used names its parameter and what was wanted."""
        for query, name in (
            (b"limit=0", "limit"),
            (b"limit=1001", "limit"),
            (b"limit=-1", "limit"),
            (b"limit=1e2", "limit"),
            (b"limit=", "limit"),
            (b"limit=%D9%A1", "limit"),
            (b"since=yesterday", "since"),
            (b"until=", "until"),
            (b"status=200", "status"),
            (b"by=hour", "by"),
            (b"session=", "session"),
            (b"session=" + b"x" * (MOST_TEXT + 1), "session"),
            (b"last_event_id=1", "last_event_id"),
            (b"last_event_id=" + b"F" * 16, "last_event_id"),
            (b"last_event_id=" + b"0" * 16 + b"%0A", "last_event_id"),
        ):
            self.assertRegex(self.refused(query), f"^{name}: want ", query)

    def test_call_status(self):
        """The status of calls is an HTTP status, or an error's code."""
        for text in ("0", "200", "599", "upstream_timeout"):
            self.assertEqual(self.read(f"status={text}".encode(), (CALL_STATUS,)), {"status": text})
        for text in ("", "20", "0200", "2000", "%0A200", "Failed", "a-b", "a%0A"):
            self.assertRegex(self.refused(f"status={text}".encode(), (CALL_STATUS,)), "^status: want ")

    def test_doubled(self):
        """A parameter that is there twice is refused, whatever its values."""
        self.assertEqual(self.refused(b"limit=1&limit=1"), "limit: is there twice")

    def test_unknown(self):
        """An unknown parameter is named, shortened and harmless, beside the known ones."""
        self.assertEqual(
            self.refused(b"sesion=1", (SESSION, LIMIT)),
            "sesion: there is no such parameter here (there are: session, limit)",
        )
        self.assertRegex(self.refused(b"limit", ()), r"^limit: .*\(there are: none\)$")
        said = self.refused(b"%1b%5B2J" + b"x" * 500 + b"=1")
        self.assertTrue(said.startswith("?[2Jxxx"), said)
        self.assertLess(len(said), 200)

    def test_not_utf_8(self):
        """A query that is no text is refused as a whole."""
        for query in (b"session=%ff", b"session=\xe9", b"%ff=1"):
            self.assertRegex(self.refused(query), "^the query: want ")

    @PROPERTY
    @given(st.binary(max_size=60) | st.text("=&%+;limtsnce0123456789-:TZ", max_size=60).map(str.encode))
    def test_anything(self, query):
        """Whatever comes is read or refused with a sentence, and nothing else happens."""
        try:
            values = self.read(query)
        except BadParameter as error:
            self.assertTrue(str(error).isprintable())
        else:
            self.assertLessEqual(values.keys(), {each.name for each in ALL})
