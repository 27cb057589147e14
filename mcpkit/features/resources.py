"""Resources: data at URIs and at every URI of a template (spec server/resources; RSRC-01…14).

What must never stand here: watching (subscriptions.py), what a value's bytes are (contents.py).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final, Unpack

from mcpkit.features import option_values
from mcpkit.features.arguments import TextArguments
from mcpkit.features.binding import MakeContext, bind_text
from mcpkit.features.content import Annotations
from mcpkit.features.contents import ResourceResult, constant, contents_list, declared_mime, size_of
from mcpkit.features.errors import BadArguments, RegistrationError
from mcpkit.features.failures import ErrorPolicy, says_not_found
from mcpkit.features.feature import DEFAULT_TIMEOUT, Feature
from mcpkit.features.media import guess_by_name
from mcpkit.features.options import ResourceOptions
from mcpkit.features.registry import LIST_TTL_MS, PAGE_SIZE, Registry
from mcpkit.features.running import within
from mcpkit.features.suggesting import Source, sources_of
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.errors import ResourceNotFound
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.types import CacheScope
from mcpkit.protocol.uri_template import LONGEST_URI, UriTemplate, normalize_uri

logger = logging.getLogger("mcpkit.resources")

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S", re.ASCII)
_EXPRESSION: Final = re.compile(r"\{[^}]*\}")


class Resource(Feature):
    """Data at a URI, or at every URI of a template; once offered, the handle to change it."""

    what = "resource"
    known_options = frozenset(ResourceOptions.__annotations__)
    option_checks = option_values.RESOURCE
    template: UriTemplate | None
    sources: Mapping[str, Source]
    """What suggests values for the template's variables."""
    mime_type: str | None
    """What its author or its URI's ending says; None where each value tells it."""

    def __init__(self, uri: str, function: Any, options: ResourceOptions | None = None) -> None:
        """``function`` may also be the data itself: a text, bytes, a Path, or anything with a JSON form.

        Raises: RegistrationError.
        """
        self.key = uri
        self._constant = not callable(function)
        said: dict[str, Any] = dict(options or {})
        if self._constant:
            said = {"size": size_of(function), **said, "inline": not isinstance(function, Path)}
            function = constant(function)
        super().__init__(function, said)

    @property
    def uri(self) -> str:
        """The URI, or the template's text."""
        return self.key

    @property
    def listed_ttl_ms(self) -> int | None:
        """None: a resource's own time is about its contents."""
        return None

    @property
    def listed_scope(self) -> CacheScope | None:
        """None, as above."""
        return None

    def _again(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Feature:
        return Resource(self.key, function, options)  # type: ignore[arg-type]  # checked by name, not by type

    def _build(self) -> None:
        options = self.options
        self.bound, arguments = bind_text(self.function, inline=options.get("inline", False))
        self.template = _template(self.key, self.where)
        self._check_variables(arguments)
        self.sources = sources_of(options.get("completions", {}), arguments.properties, self.where)
        self.mime_type = options.get("mime_type") or guess_by_name(self.key)
        annotations = options.get("annotations")
        members = {
            "mimeType": self.mime_type or declared_mime(self.bound.signature.returns),
            "annotations": annotations.to_wire() if isinstance(annotations, Annotations) else annotations,
            "size": options.get("size"),
        }
        name = options.get("name") or (_last_part(self.key) if self._constant else self.bound.signature.name)
        entry = self.entry(name, **members)
        self.wire = {"uri" if self.template is None else "uriTemplate": self.key, **entry}

    def _check_variables(self, arguments: TextArguments) -> None:
        """The function's parameters are the template's variables.

        Raises: RegistrationError.
        """
        refuse = self.bound.signature.refuse
        variables = self.template.variables if self.template else ()
        for name in arguments.required:
            if name not in variables:
                raise refuse(f"parameter {name!r} is no variable of {self.key}: add {{{name}}}, or give it a default")
            if self.template and name in self.template.optional:
                raise refuse(f"a URI may leave {name!r} out of {self.key}: give the parameter a default")
        for name in variables:
            if name not in arguments.properties:
                raise refuse(f"the variable {{{name}}} of {self.key} has no parameter: add `{name}: str`")


class Resources:
    """The resources of one server, and the methods that offer them."""

    def __init__(
        self,
        make_context: MakeContext,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float = DEFAULT_TIMEOUT,
        ttl_ms: int = LIST_TTL_MS,
        changed: Callable[[], None] = lambda: None,
        errors: ErrorPolicy | None = None,
    ) -> None:
        """``timeout`` (seconds, 0: none) holds for those that name none; ``changed`` is called after every change."""
        self._make_context = make_context
        self._errors = errors or ErrorPolicy()
        self._timeout = timeout
        self._changed = changed
        self._static: Registry[Resource] = Registry(
            "resources", self._static_changed, page_size=page_size, ttl_ms=ttl_ms
        )
        self._templates: Registry[Resource] = Registry(
            "resourceTemplates", self._templates_changed, page_size=page_size, ttl_ms=ttl_ms
        )
        self._ordered: tuple[Resource, ...] = ()
        self._normal: Mapping[str, Resource] = {}
        """The offered resources by their normal URIs, for URIs that are spelled in another way."""

    def add(self, uri: str, function: Any, **options: Unpack[ResourceOptions]) -> Resource:
        """Offer a function's data, or data, at a URI or at every URI of a template; get its handle.

        Raises: RegistrationError, with file, line and the fix.
        """
        resource = Resource(uri, function, options)
        return (self._static if resource.template is None else self._templates).add(resource)

    def find(self, uri: str) -> Resource | None:
        """The resource or template that was added with exactly this URI, disabled or not."""
        return self._static.find(uri) or self._templates.find(uri)

    def __iter__(self) -> Iterator[Resource]:
        """The offered resources, then the templates, by URI."""
        return chain(self._static, self._templates)

    def __len__(self) -> int:
        return len(self._static) + len(self._templates)

    @property
    def uniform(self) -> bool:
        """Everybody sees the same resources and templates."""
        return self._static.uniform and self._templates.uniform

    def page_key(self, exchange: Exchange) -> Hashable | None:
        """What a page of either list depends on, for a cache; None when it depends on the caller."""
        return self._static.page_key(exchange) if self.uniform else None

    def knows(self, exchange: Exchange, uri: str) -> bool:
        """Whether this caller could read that URI (a template may still find nothing there)."""
        return self._at(exchange, uri) is not None

    def watchable(self, exchange: Exchange, uri: str) -> bool:
        """Whether this caller may hear of changes there: as of reading. A URI where nothing is may get something later.

        Raises: InsufficientScope.
        """
        found = self._at(exchange, uri)
        if found is not None:
            return found[0].admits(exchange)
        return uri not in self._static.offered and not any(
            template.template is not None and template.template.match(uri) is not None for template in self._ordered
        )

    async def list(self, exchange: Exchange) -> JsonObject:
        """``resources/list`` (RSRC-02). Raises: InvalidParams for a bad cursor."""
        return self._static.page(exchange)

    async def list_templates(self, exchange: Exchange) -> JsonObject:
        """``resources/templates/list`` (RSRC-03). Raises: InvalidParams for a bad cursor."""
        return self._templates.page(exchange)

    async def read(self, exchange: Exchange) -> JsonObject:
        """``resources/read`` (RSRC-04, RSRC-05).

        Raises: InvalidParams, ResourceNotFound, InsufficientScope, InternalError, and what a resource raises itself.
        """
        uri = exchange.params.get("uri")
        if not isinstance(uri, str) or not uri:
            raise InvalidParams("uri must be a resource's URI; resources/list names what there is")
        return await self.read_uri(exchange, uri)

    async def read_uri(self, exchange: Exchange, uri: str) -> JsonObject:
        """Read one resource for the caller of ``exchange``. Raises: as :meth:`read`."""
        found = self._at(exchange, uri)
        if found is None:
            raise ResourceNotFound(uri)
        resource, arguments = found
        resource.admits(exchange)
        seconds = self._timeout if resource.timeout is None else resource.timeout
        try:
            value = await within(seconds, resource.work(arguments, exchange, self._make_context), resource.name)
            return _result(resource, uri, value)
        except RpcError:
            raise
        except FileNotFoundError as error:
            logger.info("%s failed: %s", resource.name, error)
            raise ResourceNotFound(uri) from None
        except Exception as error:
            text = self._errors.text(resource.name, resource.function, error, logger)
            raise ResourceNotFound(uri, text) if says_not_found(error) else InternalError(text) from None

    def template_for(self, exchange: Exchange, uri: str) -> Resource | None:
        """The template with this text, or the one that a URI belongs to (COMP-02)."""
        named = self.find(uri) or self._template_like(uri)
        if named is not None and named.enabled and named.seen_by(exchange):
            return named
        found = self._at(exchange, uri)
        return found[0] if found else None

    def _at(self, exchange: Exchange, uri: str) -> tuple[Resource, Mapping[str, Any]] | None:
        """What is at a URI for this caller, with the variables as its function takes them."""
        resource = self._static.offered.get(uri)
        if resource is not None and resource.seen_by(exchange):
            return resource, {}
        if len(uri) > LONGEST_URI:
            return None
        resource = self._normal.get(normalize_uri(uri))
        if resource is not None and resource.seen_by(exchange):
            return resource, {}
        for template in self._ordered:
            assert template.template is not None
            values = template.template.match(uri)
            if values is None or not template.seen_by(exchange):
                continue
            try:
                return template, template.bound.bind(values)
            except BadArguments:  # `{id}` that is no int names nothing: perhaps another template does
                continue
        return None

    def _template_like(self, text: str) -> Resource | None:
        """The template with this text in another spelling: URI libraries escape braces too."""
        if len(text) > LONGEST_URI:
            return None
        normal = normalize_uri(text)
        return next((template for template in self._ordered if normalize_uri(template.key) == normal), None)

    def _static_changed(self) -> None:
        self._normal = {normalize_uri(resource.key): resource for resource in self._static}
        self._changed()

    def _templates_changed(self) -> None:
        self._ordered = tuple(sorted(self._templates, key=_generality))
        self._changed()


def _result(resource: Resource, uri: str, value: Any) -> JsonObject:
    raw = getattr(value, "__mcp_result__", None)
    if raw is not None:
        return raw()  # type: ignore[no-any-return]  # the object's own promise
    whole = value if isinstance(value, ResourceResult) else ResourceResult(value)
    if whole.contents is None:  # RSRC-05: never an empty result for what is not there
        raise ResourceNotFound(uri)
    result: JsonObject = {"contents": contents_list(whole.contents, uri, resource.mime_type)}
    if whole.meta:
        result["_meta"] = dict(whole.meta)
    result["ttlMs"] = _first(whole.ttl_ms, resource.ttl_ms, 0)
    result["cacheScope"] = _first(whole.cache_scope, resource.cache_scope, "private")
    return result


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _template(uri: str, where: str) -> UriTemplate | None:
    """The URI as a template, if it is one.

    Raises: RegistrationError.
    """
    if not _SCHEME.match(uri) or len(uri) > LONGEST_URI:
        raise RegistrationError(f"{uri!r} ({where}) is no URI: begin it with a scheme, such as 'docs://'")
    if "{" not in uri and "}" not in uri:
        return None
    try:
        return UriTemplate(uri)
    except ValueError as error:
        raise RegistrationError(f"{where}: {error}") from None


def _generality(resource: Resource) -> tuple[int, str]:
    """The template that says more by itself is asked first."""
    return -len(_EXPRESSION.sub("", resource.key)), resource.key


def _last_part(uri: str) -> str:
    return re.split(r"[/:]", uri.rstrip("/"))[-1] or uri
