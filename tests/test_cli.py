"""The command line: every command against real servers, its exit code, and one clear line for what is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mcpkit import cli
from mcpkit.client import AuthorizationFailed, BlockingClient
from mcpkit.client.proxies import proxies
from mcpkit.host.commands import UsageError
from tests.conftest import require
from tests.fixtures.started import Started, environment, started

PROGRAM = """
from mcpkit import Server
server = other = Server("mine")
@server.tool
def hello(name: str) -> str:
    return f"Hello, {name}!"
"""


SLOW = """
import json, sys
hello = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "slow"}}
rows = {"initialize": hello, "tools/list": {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and message["method"] in rows:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": rows[message["method"]]}), flush=True)
    elif message.get("method") == "server/discover":
        error = {"code": -32601, "message": "no"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
"""


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started("examples/math_server.py", "--port", "0", cwd=tmp_path_factory.mktemp("sums")) as program:
        yield program


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, no file of theirs."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name not in environment():
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = cli.main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (("call", "URL", "add", "a=5", "b=3"), 0, "8\n"),
        (("call", "add", "a=5", "--json", "b=-3", "URL"), 0, None),
        (("call", "add", "--server", "URL", "--args", '{"a": 1, "b": 1}'), 0, "2\n"),
        (("call", "URL", "divide", "a=7", "b=0"), 5, ""),
        (("call", "URL", "nope"), 7, ""),
        (("list", "URL"), 0, None),
        (("ping", "URL", "--token", "t", "--header", "X-A: b", "--timeout", "5"), 0, None),
        (("ping", "http://127.0.0.1:9"), 4, ""),
        (("read", "URL", "a://b"), 7, ""),
        (("doctor", "URL"), 0, None),
        (("login", "URL"), 0, None),
        (("logout", "URL"), 0, None),
        (("doctor", "http://127.0.0.1:9"), 4, None),
    ],
)
def test_commands(
    capsys: pytest.CaptureFixture[str], sums: Started, words: tuple[str, ...], code: int, out: str | None
) -> None:
    said = run(capsys, *(sums.url if word == "URL" else word for word in words))
    assert said[0] == code, said
    if out is not None:
        assert said[1] == out
    assert len(said[2].splitlines()) == (0 if code == 0 or words[0] == "doctor" else 1)


def test_without_a_target_it_is_the_server_of_the_settings(
    capsys: pytest.CaptureFixture[str], sums: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_SERVER_URL", sums.url)
    assert run(capsys, "call", "add", "a=1", "b=1")[:2] == (0, "2\n")


def test_a_command_stands_after_two_dashes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(PROGRAM)
    words = ("call", "hello", "name=Ada", "--", sys.executable, "-m", "mcpkit", "serve", str(script), "--stdio")
    here = Path(cli.__file__).parents[1]
    command = [*words[:4], "env", f"PYTHONPATH={here}", *words[4:]]
    assert run(capsys, *command)[:2] == (0, "Hello, Ada!\n")


def test_a_server_of_a_configuration_file(capsys: pytest.CaptureFixture[str], sums: Started, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"x": {"command": "none"}, "math": {"url": f"{sums.url}/api"}}}))
    assert run(capsys, "call", "--config", "mcp.json", "--server", "math", "add", "a=1", "b=2")[:2] == (0, "3\n")
    code, _, err = run(capsys, "ping", "--config", "mcp.json")
    assert (code, err) == (1, "mcpkit ping: mcp.json names several servers: say --server with one of x, math\n")
    code, _, err = run(capsys, "ping", "--config", "mcp.json", "--server", "y")
    assert (code, err) == (1, "mcpkit ping: mcp.json has no such server\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nope",), "mcpkit: there is no command nope; there are list, call, "),
        (("call",), "mcpkit call: give a tool's NAME"),
        (("read",), "mcpkit read: give a URI"),
        (("list", "one"), "mcpkit list: one is neither a URL nor a command"),
        (("list", "--nope"), "mcpkit list: unrecognized arguments: --nope"),
        (("list", "--header", "x"), "mcpkit list: x is not of the form 'Name: value'"),
        (("list", "ftp://x"), "mcpkit list: "),
        (("list", "--config", "none.json"), "mcpkit list: none.json can't be read: "),
        (("chat", "--once", "hi"), "mcpkit chat: no model is configured: set MODEL_NAME, BASE_URL and API_KEY"),
        (("chat", "--approve", "always"), "mcpkit chat: argument --approve: invalid choice: 'always'"),
        (("list", "--timeout", "0"), "mcpkit list: argument --timeout: invalid number of seconds value: '0'"),
        (("login", "--callback-port", "99999"), "mcpkit login: argument --callback-port: invalid port value: '99999'"),
        (("login", "cat -"), "mcpkit login: give one server's URL: only those can be signed in to"),
        (("login", "--", "cat"), "mcpkit login: give one server's URL: only those can be signed in to"),
        (("logout", "one", "http://x"), "mcpkit logout: give one server's URL: only those can be signed in to"),
        (("serve",), "mcpkit serve: give one Python file"),
        (("serve", "none.py"), "mcpkit serve: none.py is no Python file: there is no such file"),
        (("serve", "."), "mcpkit serve: . is no Python file: it is a folder"),
        (("serve", "none.py", "--port", "70000"), "mcpkit serve: argument --port: invalid port value: '70000'"),
    ],
)
def test_wrong_usage_is_one_line_and_one(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    code, _, err = run(capsys, *words)
    assert code == 1
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"  {name} " in out for name in cli.USES)
    assert "5  a tool answered with an error" in out
    assert run(capsys)[0] == 1
    assert "--approve" in run(capsys, "chat", "--help")[1]


def test_a_server_that_wants_authorization_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    class Guarded(BaseHTTPRequestHandler):
        """Lets nobody in."""

        def do_POST(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Bearer")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        codes = [run(capsys, *words)[0] for words in (("ping", url), ("ping", url, "--token", "t"), ("doctor", url))]
        server.shutdown()
    assert codes == [3, 3, 3]


class Keyed(BaseHTTPRequestHandler):
    """Wants an API key, and has no page about a sign-in; what it answers with instead is the test's."""

    refusal: tuple[int, str, str] = (401, "", "missing API key")
    page: tuple[int, str] = (404, "")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, challenge, text = self.refusal if self.path.startswith("/mcp") else (self.page[0], "", self.page[1])
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_DELETE = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def keyed() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keyed) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()


@pytest.mark.parametrize(
    "refusal",
    [
        (401, "", "missing API key"),
        (401, "Bearer", '{"error": "missing API key"}'),
        (401, 'Bearer realm="keys", error="invalid_token"', '{"message": "missing API key"}'),
        (401, "ApiKey", '{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "missing API key"}}'),
        (401, "Basic realm=x", "<html><title>missing API key</title></html>"),
        (401, "", ""),
    ],
)
@pytest.mark.parametrize("page", [(404, ""), (401, "key?"), (405, ""), (404, "<html>nothing here</html>")])
def test_a_server_that_wants_a_key(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    keyed: str,
    refusal: tuple[int, str, str],
    page: tuple[int, str],
) -> None:
    """Nobody is sent to a sign-in that isn't there: one line, code 3, and the options that give a key."""
    monkeypatch.setattr(Keyed, "refusal", refusal)
    monkeypatch.setattr(Keyed, "page", page)
    for words in (("list",), ("login",), ("call", "add", "a=1")):
        code, out, err = run(capsys, *words, keyed)
        assert (code, out, len(err.splitlines())) == (3, "", 1), err
        assert f"{keyed} wants an API key or token, and offers no sign-in; get one from" in err
        assert "--token KEY" in err
        assert "--header 'X-API-Key: KEY'" in err
        assert ("missing API key" in err) == bool(refusal[2])
        assert "run mcpkit login" not in err
    code, out, _ = run(capsys, "doctor", keyed)
    assert code == 3
    assert f"({keyed}): {keyed} wants an API key or token, and offers no sign-in\n" in out
    assert "fix: get one from whoever runs the server and give it: --token KEY" in out
    code, _, err = run(capsys, "list", keyed, "--header", "X-API-Key: wrong")
    assert (code, len(err.splitlines())) == (3, 1)
    assert "wants another API key or token than the one that is sent" in err


def test_a_server_that_wants_a_key_from_the_library(keyed: str) -> None:
    """Without anybody to sign in, and with a token that is refused."""
    for options in ({}, {"auth": "wrong"}, {"headers": {"X-API-Key": "wrong"}}):
        with pytest.raises(AuthorizationFailed, match="missing API key") as refused, BlockingClient(keyed, **options):
            pass
        assert len(str(refused.value).splitlines()) == 1
        assert "wrong" not in str(refused.value)


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets what the environment says of proxies."""

    def set_variables(**variables: str) -> None:
        for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        proxies.cache_clear()

    yield set_variables
    proxies.cache_clear()


SOCKS = "a SOCKS proxy needs the package socksio; run pip install"
NAMELESS = "it names no host and port; write it as http://host:port"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("socks5://127.0.0.1:9", SOCKS),
        ("socks5h://user:password@127.0.0.1:9", SOCKS),
        ("socks4://127.0.0.1:9", "there is no such kind of proxy as socks4; write it as http://host:port"),
        ("ftp://127.0.0.1:9", "there is no such kind of proxy as ftp; write it as"),
        ("http://", NAMELESS),
        ("http://127.0.0.1:99999", NAMELESS),
        ("127.0.0.1:99999", NAMELESS),
        ("http://127.0.0.1:port", NAMELESS),
        ("http://:3128", NAMELESS),
        ("http://[::1", NAMELESS),
        ("http://two words:3128", NAMELESS),
        (" ", NAMELESS),
    ],
)
def test_a_proxy_that_can_not_be_used(
    capsys: pytest.CaptureFixture[str], proxied: Callable[..., None], value: str, fault: str
) -> None:
    """One line that names the variable and the way out, and never a password; no address is asked for instead."""
    require(fault != SOCKS or importlib.util.find_spec("socksio") is None, "socksio is installed")
    proxied(ALL_PROXY=value)
    code, out, err = run(capsys, "list", "http://example.invalid/mcp")
    assert (code, out) == (1, "")
    assert err.startswith(f"mcpkit list: the proxy that ALL_PROXY names can't be used: {fault}")
    assert err.endswith(", or unset ALL_PROXY (NO_PROXY names the hosts that need no proxy)\n")
    assert len(err.splitlines()) == 1
    assert "password" not in err


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "all_proxy"])
def test_every_command_names_the_proxy_that_can_not_be_used(
    capsys: pytest.CaptureFixture[str], proxied: Callable[..., None], name: str
) -> None:
    proxied(**{name: "http://"})
    for words in (("login",), ("call", "add", "a=1"), ("ping",)):
        code, _, err = run(capsys, *words, "http://example.invalid/mcp")
        assert code == 1
        assert err.startswith(f"mcpkit {words[0]}: the proxy that {name.upper()} names can't be used: {NAMELESS}")
    code, out, _ = run(capsys, "doctor", "http://example.invalid/mcp")
    assert code == 1
    assert f"the proxy that {name.upper()} names can't be used: {NAMELESS}" in out
    assert "fix: set the proxy right, or take it out of the environment" in out


def test_a_proxy_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], proxied: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    proxied(ALL_PROXY=f"http://127.0.0.1:{port}")
    code, _, err = run(capsys, "list", "http://example.invalid/mcp")
    assert code == 4
    assert "http://example.invalid cannot be reached through the proxy that ALL_PROXY names: " in err


def test_a_proxy_that_this_host_does_not_need(
    capsys: pytest.CaptureFixture[str], proxied: Callable[..., None], sums: Started
) -> None:
    """The environment's faults are of no interest to whoever goes past them."""
    proxied(ALL_PROXY="socks5://127.0.0.1:9", NO_PROXY="127.0.0.1")
    assert run(capsys, "call", sums.url, "add", "a=1", "b=1")[:2] == (0, "2\n")


def test_the_model_s_endpoint_behind_a_proxy_that_can_not_be_used(
    capsys: pytest.CaptureFixture[str], proxied: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxied(HTTP_PROXY="http://", NO_PROXY="127.0.0.1")
    for name, value in (("MODEL_NAME", "m"), ("BASE_URL", "http://model.invalid/v1"), ("API_KEY", "k")):
        monkeypatch.setenv(name, value)
    code, out, _ = run(capsys, "doctor", "http://127.0.0.1:9")
    assert code == 4
    assert "The model's endpoint can't be reached: the proxy that HTTP_PROXY names can't be used" in out


BANNER = "print('Welcome!', flush=True)"
PRINTED = 'it printed "Welcome!" to standard output, which is for messages only: log to stderr'
COMMAND = ("--", sys.executable, "-c")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("list", "http://127.0.0.1:PORT"), 4, "Connection refused; start the server, or check the port"),
        (("list", "URL/wrong"), 6, "Nothing is here: MCP is at /api, and / says what else there is"),
        (("list", "https://HOST"), 4, "cannot be reached: it does not speak TLS; write http:// in place of https://"),
        (("list", "http://nowhere.invalid"), 4, "; check the host's name"),
        (("list", "HOST"), 1, "is an address without a scheme: write http://127.0.0.1:"),
        (("list", "http://127.0.0.1:port"), 1, "the URL's host or port is malformed; write it as http://host:port/"),
        (("list", *COMMAND, BANNER), 4, f"ended with code 0; {PRINTED}"),
        (
            ("list", "--timeout", "0.5", *COMMAND, f"{BANNER}; import sys; sys.stdin.read()"),
            4,
            f"initialize was not answered within 0.5 seconds; {PRINTED}",
        ),
        (("list", *COMMAND, "import nowhere"), 4, "it said: ModuleNotFoundError: No module named 'nowhere'"),
        (("list", "--", "no-such-program"), 4, "there is no such program; install it, or give its whole path"),
        (("list", "--", "./plain.txt"), 4, "it is not executable; give the program that runs it, or make it so with"),
        (("list", "--config", "commas.json"), 1, "commas.json is no JSON: "),
        (("list", "--config", "folder.json"), 4, "nowhere, its cwd"),
        (("call", "URL", "ad", "a=1", "b=1"), 7, "Unknown tool 'ad'; did you mean 'add'?"),
        (("call", "URL", "add", "a=x", "b=1"), 5, 'Invalid arguments for add: a: expected a number, got "x"'),
        (("call", "URL", "add", "a=1"), 5, "b: is required but missing"),
        (("call", "URL", "add", "1"), 1, "1 is not of the form name=value"),
        (("call", "URL", "add", "--args", "{a: 1}"), 1, "--args is no JSON: "),
        (("call", "--timeout", "2", "wait", *COMMAND, "PROGRAM"), 4, "tools/call was not answered within 2 seconds"),
    ],
)
def test_a_newcomers_mistake_is_one_line_with_the_next_step(
    capsys: pytest.CaptureFixture[str], sums: Started, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "plain.txt").write_text("")
    (tmp_path / "commas.json").write_text('{"mcpServers": {"a": {"url": "http://127.0.0.1:9"},,}}')
    entry = {"command": sys.executable, "cwd": "nowhere"}
    (tmp_path / "folder.json").write_text(json.dumps({"mcpServers": {"a": entry}}))
    meant = {"URL": sums.url, "HOST": sums.url.partition("//")[2], "PORT": str(port), "PROGRAM": SLOW}
    given = list(words)
    for name, value in meant.items():
        given = [word.replace(name, value) for word in given]
    exit_code, out, err = run(capsys, *given)
    assert (exit_code, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_doctor_reports_a_bad_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_PORT", "many")
    code, out, _ = run(capsys, "doctor")
    assert code == 1
    assert "MCP_SERVER_PORT must be a whole number" in out


def test_doctor_names_a_misspelt_variable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment and of `.env`, each with the setting that was probably meant; secrets are not shown."""
    monkeypatch.setenv("MCP_ALLOWD_HOSTS", "geheim.example")
    Path(".env").write_text("MCP_SERVER_PROT=12001\n")
    _, out, err = run(capsys, "doctor")
    assert "MCP_ALLOWD_HOSTS is no setting, so it does nothing; did you mean MCP_ALLOWED_HOSTS?" in out
    assert "MCP_SERVER_PROT is no setting, so it does nothing; did you mean MCP_SERVER_PORT?" in out
    assert "geheim" not in out + err


def test_a_server_is_loaded_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    script = tmp_path / "loaded.py"
    script.write_text(PROGRAM)
    assert cli.load_server(str(script)).tools.get("hello") is not None
    assert cli.load_server(f"{script}:other") is not None
    with pytest.raises(UsageError, match="called nope; there is: server, other"):
        cli.load_server(f"{script}:nope")
    script.write_text(f"{PROGRAM}\nsecond = Server('second')\n")
    with pytest.raises(UsageError, match="there is: server, other, second"):
        cli.load_server(str(script))


IN_FUNCTIONS = (
    'mine.py must hold one mcpkit.Server: write `server = Server("name")` outside of functions and conditions; '
    "there is: none at the file's top level, where it is looked for; line {}\n"
)
MADE_IN_FUNCTIONS = {
    "from mcpkit import Server\ndef make() -> Server:\n    return Server('s')": "3 makes one in make()",
    "def make():\n    from mcpkit import Server\n    server = Server('s')": "3 makes one in make()",
    "import mcpkit\nif __name__ == '__main__':\n    server = mcpkit.Server('s')": "3 makes one under `if __name__`",
    "import asyncio, mcpkit\nasync def main():\n    server = mcpkit.Server('s')\nasyncio.run(main())": (
        "3 makes one in main()"
    ),
    "from mcpkit import Server as S\nclass App:\n    def __init__(self):\n        self.s = S('s')": (
        "4 makes one in __init__()"
    ),
    "from mcpkit import Server\nservers = {'a': Server('s')}": "2 makes one, which has no name of its own",
}


def test_the_name_of_a_function_that_makes_a_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    script = tmp_path / "makes_one.py"
    script.write_text(next(iter(MADE_IN_FUNCTIONS)))
    with pytest.raises(
        UsageError, match=r'called make: write `server = Server\("name"\)` .*; line 3 makes one in make'
    ):
        cli.load_server(f"{script}:make")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("x = 1", 'mine.py must hold one mcpkit.Server: write `server = Server("name")`; there is: none'),
        ("", 'mine.py must hold one mcpkit.Server: write `server = Server("name")`; there is: none'),
        *((program, IN_FUNCTIONS.format(where)) for program, where in MADE_IN_FUNCTIONS.items()),
        (
            "x = 1\ndef f(:\n    pass",
            "mine.py can't be loaded: line 2 of mine.py: SyntaxError: invalid syntax: def f(:",
        ),
        ("if True:\nx = 1", "mine.py can't be loaded: line 2 of mine.py: IndentationError: expected an indented block"),
        ("x = 1\0", "mine.py can't be loaded: "),
        ("import missing_one", "mine.py can't be loaded: line 1 of mine.py: ModuleNotFoundError: No module named"),
        (
            "from mcpkit import Servr",
            "mine.py can't be loaded: line 1 of mine.py: ImportError: cannot import name 'Servr'",
        ),
        ("import helper", "mine.py can't be loaded: line 2 of helper.py: KeyError: 'key'"),
        (
            "def g():\n    return 1 / 0\ng()",
            "mine.py can't be loaded: line 2 of mine.py: ZeroDivisionError: division by",
        ),
        ("import json\njson.loads('{')", "mine.py can't be loaded: line 2 of mine.py: JSONDecodeError: Expecting"),
        ("import asyncio\nraise asyncio.CancelledError", "mine.py can't be loaded: line 2 of mine.py: CancelledError"),
        ("raise ValueError('one\\n' * 1000)", "mine.py can't be loaded: line 1 of mine.py: ValueError: one one"),
        (
            f"{PROGRAM}\nfrom mcpkit.run import serve\nserve(server)",
            "mine.py can't be loaded: line 9 of mine.py: RuntimeError: serve() runs while the file is loaded",
        ),
        (
            "from mcpkit import Server\nclass Mine(Server): ...",
            'write `server = Mine("name")`; there is: the class Mine only: call it',
        ),
        (
            "from . import helper",
            "relative import with no known parent package; a file that imports so lies in a package",
        ),
        ("import circle", "line 1 of circle.py: ImportError: cannot import name 'later' from"),
        ("import circle", "; mine imports this file in turn: move what both need into a third file"),
        ("raise SystemExit(0)", "mine.py ends while it is loaded: put what runs or ends it under `if __name__"),
        (f"{PROGRAM}\n@server.tool\ndef f(a) -> str: ...", "f (mine.py:8): parameter 'a' has no type: write `a: str`"),
        (f"{PROGRAM}\n@server.tool\ndef f(a: 'B') -> str: ...", "f (mine.py:8): "),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, said: str
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("mine", "helper", "circle"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mine.py").write_text(program)
    (tmp_path / "circle.py").write_text("from mine import later")
    (tmp_path / "helper.py").write_text("def fail():\n    raise KeyError('key')\nfail()\n")
    code, out, err = run(capsys, "serve", "mine.py", "--port", "0")
    assert (code, out) == (1, "")
    assert said in err
    assert err.startswith("mcpkit serve: ")
    assert len(err.splitlines()) == 1


def test_a_server_in_a_package_imports_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    inner = tmp_path / "outer_package" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").write_text("")
    (inner.parent / "shared.py").write_text("NAME = 'packed'")
    (inner / "mine.py").write_text("from mcpkit import Server\nfrom ..shared import NAME\nserver = Server(NAME)")
    assert cli.load_server(str(inner / "mine.py")).name == "packed"


def test_the_place_is_in_the_authors_code_also_in_a_clone(tmp_path: Path) -> None:
    """There the library is a folder beside the file."""
    (tmp_path / "mcpkit").symlink_to(Path(cli.__file__).parent)
    (tmp_path / "mine.py").write_text(f"{PROGRAM}\nfrom mcpkit.run import serve\nserve(server)")
    done = subprocess.run(
        [sys.executable, "-m", "mcpkit", "serve", "mine.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "mcpkit serve: mine.py can't be loaded: line 9 of mine.py: RuntimeError: serve() runs" in done.stderr


def test_a_file_that_would_hide_a_module_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mcpkit.py").write_text(PROGRAM)
    code, _, err = run(capsys, "serve", "mcpkit.py")
    said = "mcpkit serve: mcpkit.py has the name of the module mcpkit, which is in use: rename the file\n"
    assert (code, err) == (1, said)


def test_the_module_runs_the_command_line() -> None:
    """``python -m mcpkit``."""
    done = subprocess.run(
        [sys.executable, "-m", "mcpkit", "--help"],
        cwd=Path(cli.__file__).parents[1],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: mcpkit COMMAND")
