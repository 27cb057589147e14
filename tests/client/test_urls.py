"""Origins, and URLs that lead away from them."""

from __future__ import annotations

import pytest

from mcpkit.client.urls import is_loopback, origin_of, origin_text, resolve, same_origin, split_http


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://h/a", "http://h:80/b?q#f", True),
        ("HTTPS://H/a", "https://h:443", True),
        ("http://h", "https://h", False),
        ("http://h:8080", "http://h:8081", False),
        ("http://h", "http://h.evil.example", False),
        ("http://h", "http://user@h", False),
        ("http://h", "//h", False),
        ("http://h", "javascript:alert(1)", False),
        ("http://h:bad", "http://h:bad", False),
    ],
)
def test_same_origin(one: str, other: str, same: bool) -> None:
    """HSSE-09, FLOW-13: scheme, host and effective port, compared exactly."""
    assert same_origin(one, other) is same


@pytest.mark.parametrize("url", ["ftp://h/x", "/relative", "http://", "http://user:secret@h/", "file:///etc/passwd"])
def test_only_plain_http_urls(url: str) -> None:
    """OCLI-07: what is wrong is said, a secret in it is not."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
        split_http(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a:secret\u2100@h/", "https://h:secret/", "https://[secret/", "//a:secret\u2100@h"]
)
def test_a_malformed_url_is_not_repeated(url: str) -> None:
    """LEAK-05; found by fuzzing: Python's own message shows what stands before the path, a password too."""
    for read in (split_http, lambda text: resolve("https://h/", text)):
        with pytest.raises(ValueError, match=r"malformed|leads away|only http") as caught:
            read(url)
        assert "secret" not in str(caught.value)


def test_resolve_stays_at_home() -> None:
    """HSSE-02 allows relative references, HSSE-09 forbids other origins."""
    base = "http://h:1/sse"
    assert resolve(base, "/api?session_id=x") == "http://h:1/api?session_id=x"
    assert resolve(base, " messages ") == "http://h:1/messages"
    assert resolve(base, "http://h:1/m") == "http://h:1/m"
    for away in ("http://h:2/m", "https://h:1/m", "//evil.example/m", "javascript:x", "http://h:1@evil.example/"):
        with pytest.raises(ValueError):  # noqa: PT011 - every kind of it
            resolve(base, away)


def test_origins_in_messages_hold_no_secret() -> None:
    """LEAK-05."""
    assert origin_text("https://user:pw@h:1/secret?token=t") == "https://h:1"
    assert origin_of("http://H") == ("http", "h", 80)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.9.9.9", True), ("[::1]", True), ("::1", True), ("127.0.0.1.evil.example", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    """FLOW-11."""
    assert is_loopback(host) is loopback
