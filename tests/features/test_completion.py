"""completion/complete, over prompts and resource templates."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from mcpkit.features.completion import Completions
from mcpkit.features.errors import InsufficientScope
from mcpkit.features.prompts import Prompts
from mcpkit.features.resources import Resources
from mcpkit.jsonrpc.errors import InternalError, InvalidParams
from mcpkit.protocol.revisions.registry import NEWEST
from mcpkit.security.principal import Principal
from tests.exchanges import exchange
from tests.schema.official import faults


def review(code: str, language: Literal["python", "perl", "go"] = "go", framework: str = "") -> str:
    return f"{code} {language} {framework}"


def city(country: str, name: str) -> str:
    return f"{country} {name}"


def frameworks(typed: str, chosen: dict[str, str]) -> list[str]:
    return [f"{chosen.get('language')}-{typed}"]


def completions(**options: Any) -> Completions:
    prompts, resources = Prompts(lambda call: call), Resources(lambda call: call)
    prompts.add(review, completions={"framework": frameworks}, **options)
    resources.add("geo://{country}/{name}", city, completions={"country": ["France", "Finland", "Spain"]})
    resources.add("geo://all", "everything")
    return Completions(prompts, resources, lambda call: call)


PROMPT = {"type": "ref/prompt", "name": "review"}
TEMPLATE = {"type": "ref/resource", "uri": "geo://{country}/{name}"}


async def complete(
    subject: Completions, ref: Any, name: Any, value: Any = "", context: Any = None, principal: Principal | None = None
) -> dict[str, Any]:
    params = {"ref": ref, "argument": {"name": name, "value": value}}
    if context is not None:
        params["context"] = context
    result = await asyncio.wait_for(subject.complete(exchange("completion/complete", params, principal=principal)), 5)
    assert faults(NEWEST.name, "CompleteResult", {"resultType": "complete", **result}) == []
    completion: dict[str, Any] = result["completion"]
    return completion


async def test_a_prompts_argument_by_its_type() -> None:
    """COMP-02, COMP-03."""
    assert await complete(completions(), PROMPT, "language", "p") == {
        "values": ["python", "perl"],
        "total": 2,
        "hasMore": False,
    }
    assert (await complete(completions(), PROMPT, "code", "x"))["values"] == []


async def test_a_prompts_argument_by_its_function_with_what_is_chosen() -> None:
    """COMP-02: context.arguments."""
    answer = await complete(completions(), PROMPT, "framework", "d", {"arguments": {"language": "python"}})
    assert answer["values"] == ["python-d"]
    assert (await complete(completions(), PROMPT, "framework", "d"))["values"] == ["None-d"]


@pytest.mark.parametrize("uri", ["geo://{country}/{name}", "geo://France/Par"])
async def test_a_templates_variable_by_template_or_uri(uri: str) -> None:
    """COMP-02."""
    answer = await complete(completions(), {"type": "ref/resource", "uri": uri}, "country", "f")
    assert answer["values"] == ["France", "Finland"]


async def test_the_servers_own_handler_goes_before_types_and_after_functions() -> None:
    subject = completions()

    async def fallback(ref: Any, argument: Any, context: Any) -> Any:
        return [ref.type, argument.value, *context.arguments] if argument.name in {"code", "framework"} else None

    subject.fallback = fallback
    assert subject.fallback is fallback
    chosen = {"arguments": {"language": "go"}}
    assert (await complete(subject, PROMPT, "code", "x", chosen))["values"] == ["ref/prompt", "x", "language"]
    assert (await complete(subject, PROMPT, "framework", "x", chosen))["values"] == ["go-x"]
    assert (await complete(subject, PROMPT, "language", "g"))["values"] == ["go"], "None leaves it to the type"
    assert (await complete(subject, TEMPLATE, "country", "s"))["values"] == ["Spain"]
    subject.fallback = None
    assert (await complete(subject, PROMPT, "code", "x"))["values"] == []


@pytest.mark.parametrize(
    ("ref", "name", "value", "context", "told"),
    [
        ({"type": "ref/prompt", "name": "revew"}, "code", "", None, "Unknown prompt 'revew'; did you mean 'review'?"),
        (PROMPT, "langage", "", None, "review has no argument 'langage'; did you mean 'language'?"),
        (PROMPT, 3, "", None, "argument must be"),
        (PROMPT, "code", 3, None, "argument must be"),
        (PROMPT, "code", "", {"arguments": {"a": 1}}, "context.arguments.a must be a string"),
        (PROMPT, "code", "", {"arguments": []}, "context.arguments must be an object"),
        ({"type": "ref/resource", "uri": "no://where"}, "x", "", None, "ref.uri is no resource"),
        ({"type": "ref/resource", "uri": "geo://all"}, "x", "", None, "geo://all has no argument 'x'"),
        ({"type": "ref/tool", "name": "x"}, "x", "", None, "ref must be"),
        ({"type": "ref/prompt"}, "x", "", None, "ref must be"),
        (None, "x", "", None, "ref must be"),
    ],
)
async def test_what_does_not_exist_is_bad_params(ref: Any, name: Any, value: Any, context: Any, told: str) -> None:
    """COMP-04."""
    with pytest.raises(InvalidParams) as caught:
        await complete(completions(), ref, name, value, context)
    assert str(caught.value).startswith(told)


async def test_access_is_controlled() -> None:
    """COMP-05."""
    with pytest.raises(InvalidParams, match="Unknown prompt"):
        await complete(completions(visible=lambda call: False), PROMPT, "language")
    with pytest.raises(InsufficientScope):
        await complete(completions(scopes=["review"]), PROMPT, "language", principal=Principal("m"))


async def test_a_failure_is_an_internal_error() -> None:
    """COMP-04, TSEC-06."""
    subject = completions()

    def broken() -> list[str]:
        raise KeyError("secret")

    subject.fallback = broken
    with pytest.raises(InternalError, match=r"^completion of code failed$"):
        await complete(subject, PROMPT, "code")
