"""What each kind needs, and the header fields it makes of a client's and the secrets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import CREDENTIAL_HEADERS, CREDENTIAL_SUBPROTOCOLS, KINDS
from agentproxy.providers.kind import Fields, has, without

HOST = "api.example"
CLIENT: Fields = [(b"User-Agent", b"x"), (b"X-A", b"1"), (b"x-a", b"2")]


def injected(kind: str, secrets: dict[str, str], fields: Fields, host: str = HOST) -> Fields:
    """What is added, the client's fields being there before it, untouched."""
    before = list(fields)
    after = KINDS[kind].inject(secrets, fields, host)
    assert fields == before, "the caller's list was changed"
    assert after[: len(CLIENT)] == CLIENT, "the client's other fields were changed"
    return after[len(CLIENT) :]


def lower(fields: Fields) -> Fields:
    return [(name.lower(), value) for name, value in fields]


class Table(SynchronousTestCase):
    def test_slots(self) -> None:
        """Each kind's slots, the variables they default to, and which of them are enough."""
        expected = {
            "openai": (
                {"credential": "OPENAI_API_KEY", "organization": "OPENAI_ORGANIZATION", "project": "OPENAI_PROJECT"},
                [{"credential"}],
            ),
            "anthropic": (
                {"credential": "ANTHROPIC_API_KEY", "oauth_token": "ANTHROPIC_AUTH_TOKEN"},
                [{"credential"}, {"oauth_token"}],
            ),
            "copilot": ({"credential": "COPILOT_GITHUB_TOKEN"}, [{"credential"}]),
            "gemini": ({"credential": "GEMINI_API_KEY"}, [{"credential"}]),
            "chatgpt": (
                {"credential": "CHATGPT_ACCESS_TOKEN", "account_id": "CHATGPT_ACCOUNT_ID"},
                [{"credential", "account_id"}],
            ),
        }
        found = {
            name: ({slot.key: slot.env for slot in kind.slots}, [set(needed) for needed in kind.needs])
            for name, kind in KINDS.items()
        }
        self.assertEqual(found, expected)
        for name, kind in KINDS.items():
            self.assertEqual((kind.name, kind.slots[0].key), (name, "credential"))

    def test_places_are_lower_case(self) -> None:
        """The places of credentials are compared in lower case, so they are written so."""
        for kind in KINDS.values():
            for place in (*kind.credential_headers, *kind.credential_query, *kind.credential_subprotocols):
                self.assertEqual(place, place.lower())

    def test_queries(self) -> None:
        """Gemini's credentials in the query are those four; kinds whose clients put none there name none."""
        self.assertEqual(KINDS["gemini"].credential_query, {b"key", b"apikey", b"api_key", b"access_token"})
        for name in ("anthropic", "copilot", "chatgpt"):
            self.assertEqual(KINDS[name].credential_query, frozenset())

    def test_union(self) -> None:
        """What any kind injects as a credential is stripped on every port."""
        for kind in KINDS.values():
            secrets = {slot.key: "THE-SECRET" for slot in kind.slots}
            for way in kind.needs:
                for chosen in (way, secrets.keys()):
                    for name, value in kind.inject({key: secrets[key] for key in chosen}, [], HOST):
                        if b"THE-SECRET" in value:
                            self.assertIn(name.lower(), CREDENTIAL_HEADERS)
            self.assertTrue(kind.credential_headers <= CREDENTIAL_HEADERS)
            self.assertTrue(set(kind.credential_subprotocols) <= set(CREDENTIAL_SUBPROTOCOLS))


class Inject(SynchronousTestCase):
    def test_openai(self) -> None:
        """A bearer, and organization and project where they are set."""
        self.assertEqual(injected("openai", {"credential": "k"}, CLIENT), [(b"Authorization", b"Bearer k")])
        self.assertEqual(
            lower(injected("openai", {"credential": "k", "organization": "o", "project": "p"}, CLIENT)),
            [(b"authorization", b"Bearer k"), (b"openai-organization", b"o"), (b"openai-project", b"p")],
        )

    def test_chatgpt(self) -> None:
        """A bearer and its account."""
        self.assertEqual(
            lower(injected("chatgpt", {"credential": "k", "account_id": "a"}, CLIENT)),
            [(b"authorization", b"Bearer k"), (b"chatgpt-account-id", b"a")],
        )

    def test_gemini(self) -> None:
        """A key of its own, no bearer."""
        self.assertEqual(injected("gemini", {"credential": "k"}, CLIENT), [(b"x-goog-api-key", b"k")])

    def test_anthropic_key(self) -> None:
        """The key wins over a token; the version is said only where the client said none; betas stay as they are."""
        version = (b"anthropic-version", b"2023-06-01")
        for secrets in ({"credential": "k"}, {"credential": "k", "oauth_token": "t"}):
            self.assertEqual(injected("anthropic", secrets, CLIENT), [(b"x-api-key", b"k"), version])
        own: Fields = [(b"Anthropic-Version", b"2024-01-01"), (b"anthropic-beta", b"a , b"), (b"anthropic-beta", b"a")]
        self.assertEqual(
            injected("anthropic", {"credential": "k"}, [*CLIENT, *own]),
            [*own, (b"x-api-key", b"k")],
        )

    def test_anthropic_empty_version(self) -> None:
        """An empty version is none."""
        self.assertEqual(
            injected("anthropic", {"credential": "k"}, [*CLIENT, (b"Anthropic-Version", b"")]),
            [(b"x-api-key", b"k"), (b"anthropic-version", b"2023-06-01")],
        )

    def test_anthropic_token(self) -> None:
        """Without a key the token is a bearer, and its beta joins the client's, in order and without doubles."""
        oauth = b"oauth-2025-04-20"
        for betas, merged in (
            ([], oauth),
            ([b"a"], b"a," + oauth),
            ([b"b, a", b"a,c"], b"b,a,c," + oauth),
            ([oauth + b",a"], oauth + b",a"),
            ([b"a, " + oauth, oauth], b"a," + oauth),
            ([b"", b" , "], oauth),
        ):
            sent: Fields = [*CLIENT, (b"anthropic-version", b"v"), *((b"Anthropic-Beta", beta) for beta in betas)]
            got = injected("anthropic", {"oauth_token": "t"}, sent)
            self.assertEqual(
                sorted(lower(got)),
                [(b"anthropic-beta", merged), (b"anthropic-version", b"v"), (b"authorization", b"Bearer t")],
            )

    def test_copilot_scheme(self) -> None:
        """`token` for enterprise, business and `*.ghe.com` hosts, else a bearer."""
        for host, scheme in (
            ("api.githubcopilot.com", b"Bearer "),
            ("api.individual.githubcopilot.com", b"Bearer "),
            ("api.enterprise.githubcopilot.com", b"token "),
            ("api.business.githubcopilot.com", b"token "),
            ("copilot-api.acme.ghe.com", b"token "),
            ("acme.ghe.com", b"token "),
            ("xghe.com", b"Bearer "),
            ("ghe.com.example", b"Bearer "),
            ("127.0.0.1", b"Bearer "),
        ):
            fields = injected("copilot", {"credential": "k"}, CLIENT, host)
            self.assertEqual(fields[0], (b"Authorization", scheme + b"k"), host)

    def test_copilot_fields(self) -> None:
        """Three fields are added where the client sent none (or empty ones), the same interaction each time."""
        names = [b"copilot-integration-id", b"x-initiator", b"x-interaction-id"]
        first = injected("copilot", {"credential": "k"}, CLIENT)
        self.assertEqual([name for name, _ in first[1:]], names)
        self.assertTrue(all(value for _, value in first))
        self.assertEqual(injected("copilot", {"credential": "k"}, CLIENT), first)
        for own in names:
            sent = (own.title(), b"mine")
            fields = injected("copilot", {"credential": "k"}, [*CLIENT, sent])
            self.assertEqual(fields[0], sent)
            self.assertEqual(sorted(name for name, _ in lower(fields)), sorted([b"authorization", *names]))
            empty = injected("copilot", {"credential": "k"}, [*CLIENT, (own.title(), b"")])
            self.assertEqual(sorted(empty), sorted(first))


class Helpers(SynchronousTestCase):
    def test_without(self) -> None:
        """Fields of a name go in any case, the others stay in order."""
        self.assertEqual(without([(b"A", b"1"), (b"b", b"2"), (b"a", b"3"), (b"C", b"")], b"a", b"c"), [(b"b", b"2")])

    def test_has(self) -> None:
        """A field is there only with a value, whatever its case."""
        fields = [(b"A", b""), (b"B", b"1"), (b"a", b"")]
        self.assertEqual([has(fields, name) for name in (b"a", b"b", b"c")], [False, True, False])
        self.assertTrue(has([*fields, (b"A", b"2")], b"a"))
