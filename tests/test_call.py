"""The values that all rooms share; above all, that a `Secret` never shows."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.call import Call, Close, Secret

TEXT = "sk-do-not-show-me"


@dataclasses.dataclass
class Holder:
    secret: Secret


class SecretTests(SynchronousTestCase):
    def test_reveal(self) -> None:
        """The text is there for whoever asks for it by name."""
        self.assertEqual(Secret(TEXT).reveal(), TEXT)

    def test_never_shown(self) -> None:
        """No way to make a text of it, or of what holds it, shows it."""
        secret = Secret(TEXT)
        shown = [
            repr(secret),
            str(secret),
            format(secret),
            format(secret, ">40"),
            f"{secret}",
            f"{secret!r}{secret!s}{secret!a}{secret:s}",
            "%s %r %a" % (secret, secret, secret),  # noqa: UP031
            "{} {!r}".format(secret, secret),  # noqa: UP032
            ascii(secret),
            repr([secret, (secret,), {"a": secret}, {secret}]),
            pprint.pformat({"a": secret}),
            repr(Holder(secret)),
            str(ValueError(secret)),
            repr(ValueError("x", secret)),
            json.dumps({"a": secret}, default=str),
            logging.makeLogRecord({"msg": "%s", "args": (secret,)}).getMessage(),
            repr(secret.reveal),
        ]
        for text in shown:
            self.assertNotIn(TEXT, text)
            self.assertNotIn(TEXT[3:], text)

    def test_not_in_tracebacks(self) -> None:
        """An exception that carries it, with all its frames' variables, shows nothing."""
        secret = Secret(TEXT)
        try:
            raise ValueError("wrong", secret)
        except ValueError as error:
            summary = traceback.TracebackException.from_exception(error, capture_locals=True)
            lines = [line for line in "".join(summary.format()).splitlines() if "secret" in line.lower()]
            verbose = Failure(captureVars=True).getTraceback(detail="verbose")
        # Its globals are this module's, where the text is a constant.
        frames = verbose.partition("( Globals )")[0]
        self.assertTrue(lines)
        self.assertNotIn(TEXT, "".join(lines))
        self.assertIn("secret : <Secret>", frames)
        self.assertNotIn(TEXT, frames)

    def test_not_serialized(self) -> None:
        """It can't be pickled, copied into another, dumped as JSON, or joined to a text."""
        secret = Secret(TEXT)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            error = self.assertRaises(TypeError, pickle.dumps, secret, protocol)
            self.assertNotIn(TEXT, str(error))
            self.assertRaises(TypeError, pickle.dumps, [secret], protocol)
        self.assertRaises(TypeError, copy.copy, secret)
        self.assertRaises(TypeError, copy.deepcopy, Holder(secret))
        self.assertRaises(TypeError, json.dumps, secret)
        self.assertRaises(TypeError, lambda: "a" + secret)  # type: ignore[operator]
        self.assertRaises(TypeError, lambda: "".join([secret]))  # type: ignore[list-item]
        self.assertRaises(TypeError, vars, secret)
        self.assertRaises(TypeError, bytes, secret)
        self.assertRaises(TypeError, iter, secret)
        self.assertRaises(TypeError, len, secret)

    def test_compared(self) -> None:
        """Two of the same text are equal, it is not equal to its text, and an empty one is false."""
        self.assertEqual(Secret(TEXT), Secret(TEXT))
        self.assertEqual(hash(Secret(TEXT)), hash(Secret(TEXT)))
        self.assertNotEqual(Secret(TEXT), Secret("x"))
        self.assertNotEqual(Secret(TEXT), TEXT)
        self.assertTrue(Secret("x"))
        self.assertFalse(Secret(""))


class CallTests(SynchronousTestCase):
    def test_begins_empty(self) -> None:
        """A new call knows what it was asked, and nothing of its end."""
        call = Call("id", "openai", "http", "GET", "/x", 1.5)
        self.assertEqual(
            (call.id, call.provider, call.protocol, call.method, call.path, call.started),
            ("id", "openai", "http", "GET", "/x", 1.5),
        )
        self.assertEqual(
            [call.status, call.bytes_in, call.bytes_out, call.frames_in, call.frames_out],
            [0] * 5,
        )
        self.assertEqual(
            [call.first_byte, call.close, call.error, call.phase, call.upstream_request_id],
            [None] * 5,
        )

    def test_close(self) -> None:
        """A close is a value that does not change."""
        close = Close("client", 1000)
        self.assertEqual(close, Close("client", 1000, "", True))
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, close, "code", 1001)
