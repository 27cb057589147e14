"""MCP inside a FastAPI application of your own: python examples/fastapi_include.py [--host 127.0.0.1] [--port 18082]"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a bare clone needs no installation

import uvicorn
from fastapi import FastAPI

from mcpkit import Server
from mcpkit.fastapi import mcp_router

server = Server("inside", "1.0.0")
app = FastAPI()
app.include_router(mcp_router(server))


@server.tool
def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello, {name}!"


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    """Answer a browser with the same words."""
    return {"said": greet(name)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18082)
    given = parser.parse_args()
    uvicorn.run(app, host=given.host, port=given.port)
