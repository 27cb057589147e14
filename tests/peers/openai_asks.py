"""Asks a scripted model server by the official openai SDK and prints what that understood, as one JSON object.

It runs in the environment of openai.txt: ``python openai_asks.py URL``. What must never stand here: an import of this
project.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.request import Request, urlopen

from openai import APIStatusError, OpenAI

QUESTION: Any = [{"role": "user", "content": "hello"}]


def main(url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)

    def script(step: dict[str, Any]) -> None:
        with urlopen(Request(f"{url}/script", json.dumps([step]).encode()), timeout=10):
            pass

    found: dict[str, Any] = {"models": [model.id for model in client.models.list()]}
    script({"say": "hi"})
    whole = client.chat.completions.create(model="any", messages=QUESTION)
    found["whole"] = [whole.choices[0].message.content, whole.model, whole.usage and whole.usage.total_tokens]
    script({"say": ["a", "b"], "call": [{"name": "f", "arguments": {"long": "x" * 20}}, {"name": "g"}]})
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(model="any", messages=QUESTION, stream_options=options) as stream:
        last = stream.get_final_completion()
    message = last.choices[0].message
    found["streamed"] = [message.content, last.usage and last.usage.total_tokens, last.choices[0].finish_reason]
    found["calls"] = [[call.function.name, call.function.arguments] for call in message.tool_calls or []]
    for status in (401, 429, 500):
        script({"status": status})
        try:
            client.chat.completions.create(model="any", messages=QUESTION)
        except APIStatusError as error:
            found.setdefault("refused", []).append(error.status_code)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
