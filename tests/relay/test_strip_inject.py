"""
What upstream gets of credentials: nothing of the client's, wherever it hides them, and the true one exactly once.

These tests look at the very bytes.
"""

from agentproxy.providers import KINDS
from tests.relay.harness import SECRETS, request, response, upgrade
from tests.relay.test_websocket import WebSocketCase
from tests.relay.wires import messages

MINE = b"clients-own-secret"

# Every header in which a client of some provider may carry a credential or an account.
HEADERS = [
    b"Authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"X-Goog-User-Project", b"OpenAI-Organization",
    b"OpenAI-Project", b"ChatGPT-Account-ID", b"X-OpenAI-Fedramp", b"Cookie", b"Cookie2", b"Proxy-Authorization",
    b"X-Amz-Security-Token", b"X-Agentproxy-Token", b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-User", b"Via",
    b"X-Real-IP",
]  # fmt: skip
SCHEMES = [b"", b"Bearer ", b"bearer ", b"Basic ", b"Token ", b"token "]
SUBPROTOCOLS = [
    b"openai-insecure-api-key.", b"OpenAI-Insecure-API-Key.", b"openai-organization.", b"openai-project.",
]  # fmt: skip
QUERIES = {
    "openai": [b"api-key", b"Authorization", b"API-Key", b"api%2Dkey"],
    "gemini": [b"key", b"apiKey", b"api_key", b"access_token", b"KEY", b"k%65y", b"api%5Fkey", b"access%5ftoken"],
}
INJECTED = {
    "openai": [(b"authorization", b"Bearer true-credential")],
    "anthropic": [(b"x-api-key", b"true-credential")],
    "copilot": [(b"authorization", b"Bearer true-credential")],
    "gemini": [(b"x-goog-api-key", b"true-credential")],
    "chatgpt": [(b"authorization", b"Bearer true-credential"), (b"chatgpt-account-id", b"true-account")],
}


def odd(name):
    """A name in odd case."""
    return bytes(byte ^ 0x20 if index % 2 and chr(byte).isalpha() else byte for index, byte in enumerate(name))


def hidings():
    """Every place as (what it is, header fields), single, doubled, in odd case, named by Connection, all at once."""
    for name in HEADERS:
        for spelled in (name, name.lower(), name.upper(), odd(name)):
            yield name, [spelled + b": " + MINE]
        yield name + b" twice", [name + b": " + MINE, odd(name) + b": " + MINE]
        yield name + b" named", [b"Connection: " + name, name + b": " + MINE]
        yield name + b" spaced", [name + b":\t  " + MINE + b"  "]
    for scheme in SCHEMES:
        yield scheme, [b"Authorization: " + scheme + MINE]
    yield b"all", [name + b": " + MINE for name in HEADERS]


class StripInjectTests(WebSocketCase):
    def sent(self, kind, fields, target=b"/v1/x", *, websocket, **options):
        """What upstream gets of such a call, all of it, and as a message."""
        harness = self.start(kind, **options)
        client = harness.client()
        if websocket:
            connection = [field for field in fields if field.startswith(b"Connection: ")]
            sent = upgrade(*(field for field in fields if field not in connection), target=target)
            for field in connection:
                sent = sent.replace(b"Connection: Upgrade", field + b", Upgrade")
        else:
            sent = request(b"POST " + target, b"Content-Length: 2", *fields, body=b"{}")
        client.say(sent)
        data = harness.upstream.taken()
        [asked] = messages(data)
        if websocket:
            harness.upstream.say(self.switching(harness.upstream, key=asked.one(b"sec-websocket-key")))
        else:
            harness.upstream.say(response())
        self.assertEqual(self.answer(client).status, 101 if websocket else 200)
        self.assertNotIn(MINE.decode(), "".join(str(event) for event in harness.events("call.start")))
        return data, asked

    def check(self, kind, data, asked, what):
        self.assertNotIn(MINE, data, (kind, what))
        for secret in SECRETS[kind].values():
            self.assertEqual(data.count(secret.encode()), 1, (kind, what))
        for name, value in INJECTED[kind]:
            self.assertEqual(asked.all(name), [value], (kind, what))

    def test_headers(self):
        """Every credential header of every kind is stripped on every port, and the true one put in once."""
        for kind in KINDS:
            for what, fields in hidings():
                for websocket in (False, True):
                    self.check(kind, *self.sent(kind, fields, websocket=websocket), what)

    def test_query(self):
        """Query parameters of the port's own kind are taken out, however they are spelled; the rest stays as sent."""
        for kind, names in QUERIES.items():
            for name in names:
                hidden = name + b"=" + MINE
                for query, left in (
                    (hidden, b""),
                    (b"a=%20b&" + hidden, b"?a=%20b"),
                    (hidden + b"&a=1&" + hidden + b"&b", b"?a=1&b"),
                ):
                    for websocket in (False, True):
                        data, asked = self.sent(kind, [], b"/v1/x?" + query, websocket=websocket)
                        self.check(kind, data, asked, query)
                        self.assertEqual(asked.line.split(b" ")[1], b"/v1/x" + left)

    def test_foreign_query(self):
        """A parameter that is no credential of the port's kind is the API's own, and passes."""
        for kind in KINDS:
            names = {name for other, names in QUERIES.items() if other != kind for name in names}
            for name in names - set(QUERIES.get(kind, ())):
                target = b"/v1/x?" + name + b"=cursor"
                self.assertEqual(self.sent(kind, [], target, websocket=False)[1].line.split(b" ")[1], target)

    def test_subprotocols(self):
        """Credential subprotocols are not offered upstream, on any port; the others are, in their order."""
        for kind in KINDS:
            for prefix in SUBPROTOCOLS:
                token = prefix + MINE
                for fields, left in (
                    ([b"Sec-WebSocket-Protocol: realtime, " + token + b", openai-beta.realtime-v1"],
                     [b"realtime, openai-beta.realtime-v1"]),
                    ([b"Sec-WebSocket-Protocol: " + token], []),
                    ([b"sec-websocket-PROTOCOL:" + token, b"Sec-WebSocket-Protocol: realtime"], [b"realtime"]),
                    ([b"Sec-WebSocket-Protocol: " + token + b" ,realtime,\t" + token + b"2"], [b"realtime"]),
                ):  # fmt: skip
                    data, asked = self.sent(kind, fields, websocket=True)
                    self.check(kind, data, asked, fields)
                    self.assertEqual(asked.all(b"sec-websocket-protocol"), left)

    def test_secret_subprotocol_is_never_chosen(self):
        """Upstream can't choose a subprotocol that was not offered to it, so no client sees its secret come back."""
        harness = self.start()
        client, upstream = self.asks(harness, b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key." + MINE)
        self.accepts(upstream, b"Sec-WebSocket-Protocol: openai-insecure-api-key." + MINE)
        self.assertNotIn(MINE, client.value())
        self.assertEqual(self.answer(client).status, 502)

    def test_connection_can_not_strip_what_is_put_in(self):
        """A Connection that names the injected header, the host or the framing takes nothing from the request."""
        for kind in KINDS:
            names = [name for name, _ in INJECTED[kind]] + [b"host", b"content-length", b"x-request-id"]
            for websocket in (False, True):
                data, asked = self.sent(kind, [b"Connection: " + b", ".join(names)], websocket=websocket)
                self.check(kind, data, asked, names)
                self.assertEqual(len(asked.all(b"host") + asked.all(b"x-request-id")), 2)
                self.assertEqual((asked.body, asked.whole), (b"" if websocket else b"{}", True))

    def test_cookies(self):
        """Where the provider keeps cookies they pass, and nothing else does."""
        for websocket in (False, True):
            fields = [b"Cookie: a=b", b"Authorization: Bearer " + MINE]
            data, asked = self.sent("openai", fields, websocket=websocket, cookies=True)
            self.check("openai", data, asked, fields)
            self.assertEqual(asked.all(b"cookie"), [b"a=b"])

    def test_organization(self):
        """OpenAI's organization and project are the configured ones, never the client's."""
        secrets = {**SECRETS["openai"], "organization": "org-true", "project": "proj-true"}
        for websocket in (False, True):
            fields = [b"OpenAI-Organization: " + MINE, b"openai-project: " + MINE]
            data, asked = self.sent("openai", fields, websocket=websocket, secrets=secrets)
            self.assertNotIn(MINE, data)
            self.assertEqual(asked.all(b"openai-organization"), [b"org-true"])
            self.assertEqual(asked.all(b"openai-project"), [b"proj-true"])

    def test_anthropic_token(self):
        """Anthropic's OAuth token goes as a bearer, its beta behind the client's; a version where none came."""
        for websocket in (False, True):
            fields = [
                b"x-api-key: " + MINE,
                b"Anthropic-Beta: a,b",
                b"anthropic-beta: b",
                b"Anthropic-Version: 2024-01-01",
            ]
            data, asked = self.sent("anthropic", fields, websocket=websocket, secrets={"oauth_token": "true-token"})
            self.assertNotIn(MINE, data)
            self.assertEqual(data.count(b"true-token"), 1)
            self.assertEqual(asked.all(b"authorization"), [b"Bearer true-token"])
            self.assertEqual(asked.all(b"anthropic-beta"), [b"a,b,oauth-2025-04-20"])
            self.assertEqual(asked.all(b"anthropic-version"), [b"2024-01-01"])
            _, asked = self.sent("anthropic", [], websocket=websocket)
            self.assertEqual((asked.all(b"anthropic-version"), asked.all(b"anthropic-beta")), ([b"2023-06-01"], []))

    def test_copilot(self):
        """Copilot's scheme is by the host, and its own headers are put in where the client sent none."""
        for host, scheme in (
            (b"api.githubcopilot.com", b"Bearer"), (b"api.business.githubcopilot.com", b"token"),
            (b"api.enterprise.githubcopilot.com", b"token"), (b"copilot-api.x.ghe.com", b"token"),
        ):  # fmt: skip
            _, asked = self.sent("copilot", [b"X-Initiator: user"], websocket=True, host=host.decode())
            self.assertEqual(asked.all(b"authorization"), [scheme + b" true-credential"])
            self.assertEqual(asked.all(b"x-initiator"), [b"user"])
            self.assertEqual(
                [len(asked.all(name)) for name in (b"copilot-integration-id", b"x-interaction-id")], [1, 1]
            )
