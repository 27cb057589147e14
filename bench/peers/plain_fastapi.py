"""What somebody writes who has FastAPI and no framework for MCP: one route, one pydantic model, one dict back."""

from __future__ import annotations

from typing import Any

import bodies
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Call(BaseModel):
    jsonrpc: str
    id: int | str | None = None
    method: str
    params: dict[str, Any] = {}


class Generated(BaseModel):
    name: str
    count: int = 1
    flag: bool = False


@app.post("/api")
async def rpc(call: Call) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call.id, "result": await result(call)}


async def result(call: Call) -> dict[str, Any]:
    if call.method == "tools/list":
        schema = Generated.model_json_schema()
        return {
            "tools": [
                {"name": bodies.generated_name(number), "description": "A generated tool.", "inputSchema": schema}
                for number in range(bodies.TOOLS)
            ]
        }
    if call.method != "tools/call":
        return {}
    tools: dict[str, Any] = {"echo": bodies.echo, "add": bodies.add, "big": bodies.big}
    value = await tools[call.params["name"]](**call.params.get("arguments", {}))
    return {"content": [{"type": "text", "text": str(value)}], "structuredContent": {"result": value}}


if __name__ == "__main__":
    uvicorn.run(app, **bodies.UVICORN)
