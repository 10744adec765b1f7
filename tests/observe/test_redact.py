"""The redactor: every form of a secret goes, and nothing else does."""

import base64
import json
import time
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe.redact import MARK, Redactor

SECRET = 'p/ss+w"rd &é1234'


def knowing(*secrets):
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return redactor


class KnownSecretTests(SynchronousTestCase):
    def test_forms(self):
        """A secret goes as it is, quoted, percent-encoded (either case) and in base64 (either alphabet)."""
        redactor = knowing(SECRET)
        raw = SECRET.encode()
        for form in (
            SECRET,
            json.dumps(SECRET),
            json.dumps(SECRET, ensure_ascii=False),
            repr(SECRET),
            quote(SECRET, safe=""),
            quote(SECRET, safe="").lower(),
            quote(SECRET),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
        ):
            cleaned = redactor.clean(f"before {form} after")
            self.assertIn(MARK, cleaned)
            self.assertTrue(cleaned.startswith("before ") and cleaned.endswith(" after"), cleaned)
            self.assertLessEqual(len(cleaned), len(f"before {MARK} after") + 2, cleaned)

    def test_inside_base64(self):
        """A secret inside a longer base64 text goes, wherever in a group of three bytes it begins."""
        secret = "correct horse battery"
        for user in ("", "a", "ab", "abc"):
            coded = base64.b64encode(f"{user}:{secret}:x".encode()).decode()
            kept = knowing(secret).clean(coded).split(MARK)
            self.assertEqual(len(kept), 2)
            self.assertLessEqual(sum(map(len, kept)), 16)

    def test_short(self):
        """A secret under six characters goes only as a whole word."""
        redactor = knowing("cat")
        self.assertEqual(
            redactor.clean("cat concatenate cats (cat) key=cat"), f"{MARK} concatenate cats ({MARK}) key={MARK}"
        )

    def test_empty(self):
        """The empty secret is none."""
        self.assertEqual(knowing("").clean("text"), "text")

    def test_overlap(self):
        """Where secrets overlap or hold each other, all of them go."""
        self.assertEqual(knowing("abcdefgh", "fghijklm").clean("<abcdefghijklm>"), f"<{MARK}>")
        self.assertEqual(knowing("abcdef", "abcdef-more").clean("<abcdef-more>"), f"<{MARK}>")
        self.assertEqual(knowing("aaaaaa").clean("a" * 20), MARK)

    def test_later(self):
        """A text that was clean is not any more once a secret in it becomes known."""
        redactor = Redactor()
        self.assertEqual(redactor.clean("the hunter-gatherer"), "the hunter-gatherer")
        redactor.add("hunter-gatherer")
        self.assertEqual(redactor.clean("the hunter-gatherer"), f"the {MARK}")

    @settings(max_examples=150)
    @given(st.lists(st.text(min_size=6, max_size=12), min_size=1, max_size=3), st.text(), st.text())
    def test_gone(self, secrets, before, after):
        """No known secret is left in any text, but where the mark itself holds it."""
        cleaned = knowing(*secrets).clean(before + secrets[0] + after)
        for secret in secrets:
            self.assertTrue(all(secret not in part for part in cleaned.split(MARK)))


class LooksTests(SynchronousTestCase):
    def test_credentials(self):
        """What has the shape of a vendor's key goes, wherever it stands."""
        for key in (
            "sk-abcdefgh12345678",
            "sk-ant-api03-abc_def-123",
            "sk-proj-abcdefgh",
            "ek_68af296e8e408191a1120ab6383263c2",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "ghp_abcdefghij0123456789",
            "gho_abcdefghij0123456789",
            "ghu_abcdefghij0123456789",
            "ghs_abcdefghij0123456789",
            "github_pat_11ABCDEFG0_abcdefghijk",
            "ya29.a0AfH6SMBx-abc",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
            "glpat-abcdefghij0123456789",
            "AKIAABCDEFGHIJKLMNOP",
            "xoxb-123456789012-abcdef",
            "xapp-1-A0123-456789",
            "npm_abcdefghij0123456789",
            "pypi-AgEIcHlwaS5vcmcCJDU2Y",
            "hf_abcdefghij0123456789",
            "gsk_abcdefghij0123456789",
            "xai-abcdefghij0123456789",
            "sk_live_abcdefgh",
            "rk_test_abcdefgh",
            "whsec_abcdefghij0123456789",
        ):
            for text in ("<{}>", "Bearer {}", "key={}&x=1", "a%3D{}%26", r"line\n{}", '"{}"'):
                expected = text.format(MARK)
                self.assertEqual(Redactor().clean(text.format(key)), expected)

    def test_user_information(self):
        """What a URL has before its host goes."""
        self.assertEqual(Redactor().clean("GET http://me:pa55@proxy:3128/x@y"), f"GET http://{MARK}@proxy:3128/x@y")

    def test_private_key(self):
        """A key in armour goes, and what is around it stays."""
        key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n+/=\n-----END RSA PRIVATE KEY-----"
        self.assertEqual(
            Redactor().clean(f"a {key} b"),
            f"a -----BEGIN RSA PRIVATE KEY-----{MARK}-----END RSA PRIVATE KEY----- b",
        )

    def test_authorization(self):
        """What follows a scheme's name goes, but not the words of a sentence."""
        redactor = Redactor()
        self.assertEqual(redactor.clean("authorization: bearer abcdefgh12345"), f"authorization: bearer {MARK}")
        self.assertEqual(redactor.clean("Basic dXNlcjpwYXNz"), f"Basic {MARK}")
        for sentence in ("Bearer authentication failed", "send the token as Authorization: Bearer", "a basic question"):
            self.assertEqual(redactor.clean(sentence), sentence)

    def test_ordinary(self):
        """Ordinary text stays as it is."""
        for text in (
            "/v1/responses",
            "a task-list of risk-averse desk-top users",
            "claude-opus-4-1-20250805",
            "keyJustification",
            "01234567-89ab-cdef-0123-456789abcdef",
            "[redacted]",
            "",
        ):
            self.assertEqual(Redactor().clean(text), text)

    def test_linear(self):
        """Long texts made to confuse the patterns take no more than their length's time."""
        redactor = knowing("a" * 40)
        for seed in (
            "eyJ", "sk-", "Bearer ", "ghp_", "AIza", "basic a", "sk-ant-", "a" * 39 + "b", "%3D", "ya29.", "://", "://a:",
            "://" + "a" * 20, "-----BEGIN PRIVATE KEY-----", "-----BEGIN A",
        ):  # fmt: skip
            text = seed * (200_000 // len(seed))
            began = time.process_time()
            redactor.clean(text)
            self.assertLess(time.process_time() - began, 2)
