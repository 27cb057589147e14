"""Which line of what a process says tells what went wrong."""

from __future__ import annotations

import pytest

from mcpkit.client.transports.last_words import LastWords

PYTHON = """INFO starting
Traceback (most recent call last):
  File "/srv/server.py", line 3, in <module>
    import missing
ModuleNotFoundError: No module named 'missing'
INFO shutting down
bye
"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
KeyError: 'API_KEY'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
app.config.ConfigError: API_KEY is not set
"""
NODE = """node:internal/modules/cjs/loader:1080
  throw err;
  ^

Error: Cannot find module '/srv/dist/index.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.11.0
"""
NPM = """npm warn config something
npm error code E404
npm error 404 Not Found - GET https://npm.example/@x%2fnone - Not found
npm error 404
npm error 404  '@x/none@*' is not in this registry.
npm error A complete log of this run can be found in: ~/.npm/_logs/x.log
"""
RUST = """thread 'main' panicked at src/main.rs:4:5:
DATABASE_URL must be set
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
GO = """panic: open config.yaml: no such file or directory

goroutine 1 [running]:
main.main()
\t/srv/main.go:9 +0x1d
exit status 2
"""
JAVA = """Exception in thread "main" java.lang.RuntimeException: could not start
\tat x.Main.main(Main.java:5)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\t... 3 more
"""
UV = """error: Failed to spawn: `server`
  Caused by: No such file or directory (os error 2)
"""


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (PYTHON, "ModuleNotFoundError: No module named 'missing'"),
        (CHAINED, "app.config.ConfigError: API_KEY is not set"),
        (NODE, "Error: Cannot find module '/srv/dist/index.js'"),
        (NPM, "404 Not Found - GET https://npm.example/@x%2fnone - Not found"),
        (NPM.replace("npm error", "npm ERR!"), "404 Not Found - GET https://npm.example/@x%2fnone - Not found"),
        (RUST, "panicked: DATABASE_URL must be set"),
        (GO, "panic: open config.yaml: no such file or directory"),
        (JAVA, "Caused by: java.net.BindException: Address already in use"),
        (UV, "Caused by: No such file or directory (os error 2)"),
        ("sh: 1: uvx: not found\nbye\n", "sh: 1: uvx: not found"),
        ("bash: line 1: foo: command not found\n", "bash: line 1: foo: command not found"),
        (
            "docker: Error response from daemon: pull access denied.\nSee 'docker run --help'.\n",
            "docker: Error response",
        ),
        (
            "usage: server [-h]\nserver: error: unrecognized arguments: --x\n",
            "server: error: unrecognized arguments: --x",
        ),
        ("TypeError [ERR_INVALID_URL]: Invalid URL\n    at x\n", "TypeError [ERR_INVALID_URL]: Invalid URL"),
        ("2026-01-01 12:00 ERROR server: no key\n2026-01-01 12:00 INFO bye\n", "2026-01-01 12:00 ERROR server: no key"),
        ("a.rb:1:in `require': cannot load such file -- x (LoadError)\n\tfrom a.rb:1\n", "a.rb:1:in `require'"),
        ("out of memory\n", "out of memory"),
        ("Missing token\n    at x\n}\n", "Missing token"),
        ("\x1b[31mError: bad\x07\x1b[0m\n", "Error: bad"),
        ("}\n", "}"),
        ("", ""),
    ],
)
def test_the_telling_line(said: str, line: str) -> None:
    """The last line is seldom the one."""
    words = LastWords()
    for one in said.splitlines():
        words.heard(one)
    assert str(words).startswith(line)
    assert bool(str(words)) is bool(line)


def test_a_flood_is_bounded_and_its_newest_lines_count() -> None:
    """A process that writes for years fills no memory; what it said at its end is there."""
    words = LastWords()
    for number in range(5_000):
        words.heard(f"KeyError: {number}" + "x" * 10_000)
    words.heard("ValueError: the end")
    assert str(words) == "ValueError: the end"
    assert sum(map(len, words._lines)) <= 300 * 500
