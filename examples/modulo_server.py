"""One tool by decorator: python examples/modulo_server.py [--host 127.0.0.1] [--port 18081]"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a bare clone needs no installation

from mcpkit import Server, ToolAnnotations, ToolError
from mcpkit.run import serve
from mcpkit.settings import Settings

server = Server("modulo", "1.0.0")


@server.tool(annotations=ToolAnnotations(read_only=True))  # so that a host need not ask its user
def modulo(a: int | float, b: int | float) -> int | float:
    """Give the remainder of a divided by b; it has the sign of b."""
    if b == 0:
        raise ToolError("Division by zero is not allowed")
    return a % b


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18081)
    given = parser.parse_args()
    serve(server, Settings(host=given.host, port=given.port))
