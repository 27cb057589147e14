"""What the server says of itself: counts that are true, URLs as the caller knows them, a line that can be copied."""

from __future__ import annotations

import shlex

from mcpkit import Server
from mcpkit.protocol.revisions.registry import SUPPORTED
from routers.info_router import own_methods, server_information

URL = "http://127.0.0.1:12000"


def test_the_server_is_described_as_it_is(server: Server) -> None:
    server.register_method("hello", lambda params: {})
    told = server_information(server, URL)
    assert (told["name"], told["version"], told["protocolVersions"]) == ("example", "1.2.3", list(SUPPORTED))
    counts = len(server.tools), len(server.resources), len(server.prompts)
    assert (told["tools"], told["resources"], told["prompts"]) == counts
    assert all(counts)
    assert "hello" in told["methods"]
    assert told["endpoints"] == {"mcp": f"{URL}/api", "sse": f"{URL}/sse", "info": f"{URL}/"}


def test_an_empty_server_has_no_methods_of_its_own() -> None:
    assert own_methods(Server("empty")) == []


def test_the_example_is_one_command_for_a_shell(server: Server) -> None:
    words = shlex.split(server_information(server, URL)["example"])
    assert words[:3] == ["curl", "-s", f"{URL}/api"]
    assert words[-1] == '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
