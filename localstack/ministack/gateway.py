"""What Amazon API Gateway does with a template's REST API and MiniStack 1.5 leaves out, added to MiniStack in process.

* Gateway responses of the OpenAPI body (`x-amazon-apigateway-gateway-responses`), so of SAM's `GatewayResponses`.
* The templates and headers of mock integrations, so the preflight answers of SAM's `Cors`.
* `$context.authorizer.*` in gateway responses.
* A function that fails or takes longer than its integration's timeout is answered by a gateway response, not by its
  error text; one that answers without a body (204) is not an error.
* Answers from the API's `minimumCompressionSize` on leave compressed where the client takes that.
* A changed API keeps its id, as PutRestApi does, and changes all at once.

And one thing that AWS does not do: a body that text cannot hold reaches the function as bytes, so that it is seen.

Everything is read from the deployed definition. Each function names the behaviour of AWS that it stands for.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import gzip
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

PROXY_RESPONSE_KEYS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}

_authorizer_context: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar(
    "authorizer_context", default=None
)
_AUTHORIZER_VARIABLE = re.compile(r"\$(?:\{context\.authorizer\.(\w+)\}|context\.authorizer\.(\w+))")


def install(apigateway: Any, provisioners: Any) -> None:
    """Put everything of this module into MiniStack's `apigateway_v1` and CloudFormation `provisioners`."""
    _import_gateway_responses(apigateway)
    _import_mock_integrations(apigateway)
    _keep_authorizer_context(apigateway)
    # First, since it knows the arguments by the names that MiniStack gives them.
    _compress(apigateway)
    _answer_integration_errors(apigateway)
    _hand_over_bytes(apigateway)
    _update_in_place(apigateway, provisioners)


def _import_gateway_responses(apigateway: Any) -> None:
    """Importing an OpenAPI body sets its gateway responses."""
    import_rest_api = apigateway._import_rest_api

    def with_gateway_responses(spec: dict[str, Any], base_data: dict[str, Any] | None = None) -> str:
        api_id: str = import_rest_api(spec, base_data)
        for response_type, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
            status, _headers, body = apigateway._put_gateway_response(api_id, response_type, response)
            if status >= 400:
                raise ValueError(f"gateway response {response_type}: {body!r}")
        return api_id

    apigateway._import_rest_api = with_gateway_responses


def _import_mock_integrations(apigateway: Any) -> None:
    """Importing an operation sets its integration's request templates and responses (static values only)."""
    import_operation = apigateway._import_operation

    def with_responses(
        api_id: str, resource_id: str, http_method: str, operation: dict[str, Any] | None, *rest: Any
    ) -> None:
        import_operation(api_id, resource_id, http_method, operation, *rest)
        definition = (operation or {}).get("x-amazon-apigateway-integration") or {}
        if str(definition.get("type", "")).upper() != "MOCK":
            return
        method = apigateway._resources[api_id][resource_id]["resourceMethods"][http_method]
        method["methodIntegration"]["requestTemplates"] = dict(definition.get("requestTemplates") or {})
        for pattern, response in (definition.get("responses") or {}).items():
            apigateway._put_integration_response(
                api_id,
                resource_id,
                http_method,
                str(response.get("statusCode", "200")),
                {
                    "selectionPattern": "" if pattern == "default" else pattern,
                    "responseParameters": dict(response.get("responseParameters") or {}),
                    "responseTemplates": _rendered_templates(response.get("responseTemplates") or {}),
                },
            )

    apigateway._import_operation = with_responses


def _rendered_templates(templates: Mapping[str, str]) -> dict[str, str]:
    """A mock's templates as they render without data: SAM writes `{}` and a newline for a preflight answer."""
    return {kind: template.strip() for kind, template in templates.items()}


def _keep_authorizer_context(apigateway: Any) -> None:
    """Gateway responses may quote what the authorizer said: `$context.authorizer.key`, `context.authorizer.key`."""
    stringify_context = apigateway._stringify_context
    authorize_request = apigateway._authorize_request_v1
    cached_result = apigateway._authorizer_cache
    render_error = apigateway._gateway_error_response
    request_value = apigateway._gateway_request_value

    def remembering(context: dict[str, Any] | None) -> dict[str, str]:
        values: dict[str, str] = stringify_context(context)
        _authorizer_context.set(values)
        return values

    class RememberingCache(dict[Any, Any]):
        """A replayed answer brings its context too."""

        def get(self, key: Any, default: Any = None) -> Any:
            hit = super().get(key, default)
            if hit:
                _authorizer_context.set(hit[2])
            return hit

    async def fresh_context(*arguments: Any, **named: Any) -> Any:
        _authorizer_context.set(None)
        return await authorize_request(*arguments, **named)

    def value_of(source: str, request: dict[str, Any]) -> Any:
        prefix, _, key = source.rpartition(".")
        if prefix == "context.authorizer":
            return (_authorizer_context.get() or {}).get(key)
        return request_value(source, request)

    def rendered(error: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = render_error(error, request)
        context = _authorizer_context.get() or {}
        text = _AUTHORIZER_VARIABLE.sub(
            lambda match: json.dumps(context.get(match[1] or match[2], ""))[1:-1], body.decode()
        )
        return status, headers, text.encode()

    apigateway._stringify_context = remembering
    apigateway._authorizer_cache = RememberingCache(cached_result)
    apigateway._authorize_request_v1 = fresh_context
    apigateway._gateway_request_value = value_of
    apigateway._gateway_error_response = rendered


def _answer_integration_errors(apigateway: Any) -> None:
    """A failing function is 502 and a slow one 504, both worded by the template's gateway responses."""
    invoke_proxy = apigateway._invoke_lambda_proxy_v1
    proxy_response = apigateway._lambda_proxy_response
    render_error = apigateway._gateway_error_response

    class FunctionFailed(Exception):
        """The function raised, timed out, or answered something that is not a proxy response."""

    def checked(result: dict[str, Any]) -> tuple[Any, Any]:
        response, error = proxy_response(result)
        payload = result.get("body")
        if error or not (result.get("throttle") or (isinstance(payload, dict) and set(payload) <= PROXY_RESPONSE_KEYS)):
            raise FunctionFailed
        return response, error

    async def bounded(integration: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        seconds = integration["timeoutInMillis"] / 1000
        try:
            status, headers, body = await asyncio.wait_for(invoke_proxy(integration, *arguments, **named), seconds)
            return status, headers, b"" if body is None else body
        except FunctionFailed:
            error = apigateway._gw_error("DEFAULT_5XX", "Internal server error")
            error.status = 502
            return error
        except TimeoutError:
            return apigateway._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")

    def with_status(error: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """DEFAULT_5XX keeps the status of the error, unless the template gives it one."""
        status, headers, body = render_error(error, request)
        deployed = apigateway._deployed_gateway_responses.get(request["api_id"], {})
        customized = deployed.get(request["stage"].get("deploymentId")) or {}
        own_status = (customized.get(error.response_type) or {}).get("statusCode")
        return (status if own_status else getattr(error, "status", status)), headers, body

    apigateway._lambda_proxy_response = checked
    apigateway._invoke_lambda_proxy_v1 = bounded
    apigateway._gateway_error_response = with_status


def _compress(apigateway: Any) -> None:
    """What is long enough for the API's `minimumCompressionSize` leaves by gzip, where the client takes that.

    What a function has coded itself, and what it streams, leaves as it is.
    """
    invoke_proxy = apigateway._invoke_lambda_proxy_v1
    names = list(inspect.signature(invoke_proxy).parameters)

    async def compressed(*arguments: Any, **named: Any) -> Any:
        answer = await invoke_proxy(*arguments, **named)
        given = {**dict(zip(names, arguments, strict=False)), **named}
        least = apigateway._rest_apis[given["api_id"]].get("minimumCompressionSize")
        accepted = {name.lower(): value for name, value in given["headers"].items()}.get("accept-encoding", "")
        if least is None or not isinstance(answer, tuple) or "gzip" not in str(accepted):
            return answer
        status, headers, body = answer
        if not isinstance(body, bytes) or len(body) < int(least) or "content-encoding" in {*map(str.lower, headers)}:
            return answer
        return status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body, mtime=0)

    apigateway._invoke_lambda_proxy_v1 = compressed


def _hand_over_bytes(apigateway: Any) -> None:
    """A body that is not UTF-8, which MiniStack decodes with U+FFFD in place of what it cannot read, is base64.

    So is one that holds U+FFFD itself: in text nobody could tell the two apart.
    """
    build_event = apigateway._build_lambda_event_v1
    names = list(inspect.signature(build_event).parameters)

    def with_bytes(*arguments: Any, **named: Any) -> dict[str, Any]:
        event: dict[str, Any] = build_event(*arguments, **named)
        if not event["isBase64Encoded"] and "\ufffd" in (event["body"] or ""):
            body: bytes = {**dict(zip(names, arguments, strict=False)), **named}["body"]
            event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return event

    apigateway._build_lambda_event_v1 = with_bytes


def _update_in_place(apigateway: Any, provisioners: Any) -> None:
    """A changed OpenAPI body replaces the API's content under its id, in one step.

    MiniStack makes a new API and deletes the old one: the address changes with every edit, and calls fail meanwhile.
    """
    handler = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    update = handler["update"]

    def overwritten(
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        if new_props.get("Body") == old_props.get("Body") or physical_id not in apigateway._rest_apis:
            return update(physical_id, old_props, new_props, stack_name, logical_id)
        other_props = {**new_props, "Body": old_props.get("Body")}
        result = update(physical_id, old_props, other_props, stack_name, logical_id)
        imported = apigateway._import_rest_api(new_props["Body"], {})
        for store in (apigateway._resources, apigateway._authorizers_v1, apigateway._gateway_responses):
            store[physical_id] = store.get(imported, {})
        apigateway._delete_rest_api(imported)
        return result

    handler["update"] = overwritten
