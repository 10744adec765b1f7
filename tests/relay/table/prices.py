"""
Prices for the models that most rows use, as the providers' pages had them, so that the table stands whatever the
library's next version says. What is not named here goes by the library: gpt-5, gpt-5.4, claude-sonnet-4-5 and
gemini-2.5-pro.
"""

from __future__ import annotations

from agentproxy.observe.own_prices import OwnPrice

# Micro-dollars for a million tokens, so that 5_000_000 is "5" in a row; of a search, for one.
OWN = {
    "gpt-5.5*": OwnPrice(5_000_000, 30_000_000, cache_read=500_000, web_search=10_000),
    "gpt-5-mini*": OwnPrice(250_000, 2_000_000, cache_read=25_000, web_search=10_000),
    "gpt-6-sol": OwnPrice(2_000_000, 10_000_000, cache_read=200_000, cache_write=2_500_000),
    "gpt-4.1*": OwnPrice(2_000_000, 8_000_000, cache_read=500_000),
    "gpt-audio*": OwnPrice(2_500_000, 10_000_000, input_audio=32_000_000, output_audio=64_000_000),
    "gpt-realtime*": OwnPrice(
        4_000_000, 16_000_000, cache_read=400_000, input_audio=32_000_000, output_audio=64_000_000
    ),
    "gpt-4o-transcribe": OwnPrice(2_500_000, 10_000_000, input_audio=6_000_000),
    "text-embedding-3-small": OwnPrice(20_000, 0),
    "deepseek-chat": OwnPrice(270_000, 1_100_000, cache_read=70_000),
    "grok-4": OwnPrice(3_000_000, 15_000_000, cache_read=750_000),
    "claude-opus-4-5*": OwnPrice(
        5_000_000, 25_000_000, cache_read=500_000, cache_write=6_250_000, cache_write_1h=10_000_000, web_search=10_000
    ),
    "claude-haiku-4-5*": OwnPrice(1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000, web_search=10_000),
    "claude-sonnet-4.6": OwnPrice(3_000_000, 15_000_000, cache_read=300_000, cache_write=3_750_000),
    "claude-2.1": OwnPrice(8_000_000, 24_000_000),
    "gemini-2.5-flash": OwnPrice(300_000, 2_500_000, cache_read=30_000, input_audio=1_000_000, web_search=35_000),
    "gemini-2.5-flash-native-audio*": OwnPrice(500_000, 2_000_000, input_audio=3_000_000, output_audio=12_000_000),
    "gemini-embedding-001": OwnPrice(150_000, 0),
}
