"""What the server says of itself: counts that are true, URLs as the caller knows them, a line that can be copied."""

from __future__ import annotations

import shlex

from mcpkit import Server
from mcpkit.protocol.revisions.registry import SUPPORTED
from routers.info_router import curl_line, server_information


def test_the_server_is_described_as_it_is(server: Server) -> None:
    told = server_information(server, "http://127.0.0.1:12000")
    assert (told["name"], told["version"], told["protocolVersions"]) == ("example", "1.2.3", list(SUPPORTED))
    assert told["counts"] == {"tools": 12, "resources": 2, "resourceTemplates": 1, "prompts": 3}
    assert told["endpoints"] == {
        "mcp": "http://127.0.0.1:12000/api",
        "sse": "http://127.0.0.1:12000/sse",
        "info": "http://127.0.0.1:12000/",
    }


def test_an_empty_server_says_so() -> None:
    counts = server_information(Server("empty"), "http://x")["counts"]
    assert set(counts.values()) == {0}


def test_the_line_is_one_command_for_a_shell() -> None:
    words = shlex.split(curl_line("http://127.0.0.1:12000"))
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:12000/api"]
    assert words[-1] == '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
