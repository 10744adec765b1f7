"""User-Agents: which agent, which version."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.products import MOST_KEPT, Products, product
from tests.agents import clients

READ = [
    (clients.CODEX, "codex", "0.169.0"),
    ("codex_cli_rs/0.40.0 (Mac OS 15.5.0; arm64) vscode/1.99", "codex", "0.40.0"),
    ("codex-tui/0.156.0 (Windows 10.0.26100; x86_64) unknown", "codex", "0.156.0"),
    (clients.CLAUDE, "claude-code", "2.1.197"),
    (clients.COPILOT, "copilot", "1.0.102"),
    ("GitHubCopilotChat/0.26.7", "copilot", "0.26.7"),
    ("GitHubCopilotCLI", "copilot", None),
    (clients.OPENCODE, "opencode", "1.18.33"),
    (clients.GEMINI, "gemini-cli", "0.61.0"),
    ("GeminiCLI/v0.1.5 (linux; x64)", "gemini-cli", "v0.1.5"),
    ("OpenAI/JS 5.20.1", "openai-js", "5.20.1"),
    ("AsyncOpenAI/Python 1.99.0", "openai-python", "1.99.0"),
    ("Anthropic/Python 0.64.0", "anthropic-python", "0.64.0"),
    ("OpenAI/Python", "openai-python", None),
    ("curl/8.14.1", "curl", "8.14.1"),
    ("python-httpx/0.28.1", "python-httpx", "0.28.1"),
    ("Mozilla/5.0 (X11; Linux x86_64)", "mozilla", "5.0"),
    ("Bun", "bun", None),
    ("", None, None),
    ("   ", None, None),
    ("()", None, None),
    ("///", None, None),
    ("sk-ant-api03-abcdefgh", None, None),
]


class ProductsTest(SynchronousTestCase):
    def test_read(self) -> None:
        """The first product names the agent, and the known ones by the names that they go by."""
        for user_agent, agent, version in READ:
            self.assertEqual(product(user_agent.encode()), (agent, version), user_agent)

    def test_bounded(self) -> None:
        """Neither a name nor what is kept grows with what is sent."""
        products = Products()
        agent, version = products.read(b"a" * 100_000 + b"/1" + b"2" * 100_000)
        self.assertEqual((len(agent or ""), version), (128, None))
        for number in range(3 * MOST_KEPT):
            products.read(b"agent-%d/1.0" % number)
        self.assertLessEqual(len(products._kept), MOST_KEPT)
        self.assertEqual(products.read(b"agent-7/1.0"), ("agent-7", "1.0"))

    def test_no_text(self) -> None:
        """What is no UTF-8, or cannot be printed, is left out."""
        self.assertEqual(product(b"a\xffb\x1b[31m/1.0"), ("ab[31m", "1.0"))
        self.assertEqual(product(b"\xff\xfe"), (None, None))
