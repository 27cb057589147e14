"""Four tools from plain functions: python examples/math_server.py [--host 127.0.0.1] [--port 18080]"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a bare clone needs no installation

from mcpkit import Server, ToolAnnotations
from mcpkit.run import serve
from mcpkit.settings import Settings
from routers.calculator import add, divide, multiply, subtract

server = Server("math", "1.0.0")
for function in (add, subtract, multiply, divide):
    server.tool(annotations=ToolAnnotations(read_only=True))(function)  # so that a host need not ask its user

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18080)
    given = parser.parse_args()
    serve(server, Settings(host=given.host, port=given.port))
