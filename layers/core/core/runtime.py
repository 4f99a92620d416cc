"""A runtime loop for functions that stream, in place of the managed one, which answers only in one piece.

``streaming-runtime``, beside this module, starts it. It follows Lambda's Runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) with its way to stream
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming). Answers to
API Gateway have the format of its streaming integrations, whether they come whole or in pieces
(https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html). Any other event is
answered with plain JSON.
"""

import base64
import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from types import SimpleNamespace
from typing import Any, NoReturn

from core import streaming

API = "/2018-06-01/runtime"
HTTP_RESPONSE = "application/vnd.awslambda.http-integration-response"
DELIMITER = bytes(8)
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

Handler = Callable[[Any, Any], Any]


class Context:
    """What a handler is told of its invocation, under the names of the managed runtime."""

    def __init__(self, headers: Message, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = int(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"))
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        client = json.loads(headers.get("Lambda-Runtime-Client-Context") or "null")
        self.client_context = SimpleNamespace(**client) if client else None
        cognito = json.loads(headers.get("Lambda-Runtime-Cognito-Identity") or "{}")
        self.identity = SimpleNamespace(
            cognito_identity_id=cognito.get("cognitoIdentityId"),
            cognito_identity_pool_id=cognito.get("cognitoIdentityPoolId"),
        )
        self._deadline = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))
        self._clock = clock

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return max(0, self._deadline - int(self._clock() * 1000))


class Runtime:
    """The loop, over a connection to the Runtime API."""

    def __init__(
        self, connection: http.client.HTTPConnection, handler: Handler, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._clock = clock

    def run(self) -> NoReturn:
        """Answer events, one after the other, for as long as the process lives."""
        while True:
            self.answer_next()

    def answer_next(self) -> None:
        """Wait for one event and answer it. Raises ``OSError`` when the Runtime API is not there."""
        body, headers = _call(self._connection, "GET", f"{API}/invocation/next")
        context = Context(headers, os.environ, self._clock)
        os.environ.pop("_X_AMZN_TRACE_ID", None)
        if trace := headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = trace
        target = f"{API}/invocation/{context.aws_request_id}"
        try:
            event = json.loads(body)
            answer = self._handler(event, context)
            is_http = isinstance(event, dict) and "httpMethod" in event and "requestContext" in event
            if is_http and isinstance(answer, dict) and "statusCode" in answer:
                content = None
            else:
                content = json.dumps(streaming.whole(answer) if streaming.is_streamed(answer) else answer)
        except Exception as error:
            _report(self._connection, f"{target}/error", error)
            return
        if content is None:
            self._stream(f"{target}/response", answer)
        else:
            _call(self._connection, "POST", f"{target}/response", content.encode(), content_type="application/json")

    def _stream(self, target: str, answer: Mapping[str, Any]) -> None:
        """Send a proxy response to API Gateway, its body in pieces. A failure in the middle goes into trailers."""
        connection = self._connection
        connection.putrequest("POST", target)
        connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        connection.putheader("Content-Type", HTTP_RESPONSE)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.putheader("Trailer", f"{ERROR_TYPE}, {ERROR_BODY}")
        connection.endheaders()
        is_listening = self._send(json.dumps(streaming.prelude(answer)).encode() + DELIMITER)
        trailers = b""
        try:
            for piece in streaming.encoded(_pieces(answer)):
                # To its end even when nobody takes it: handlers store what they answer.
                is_listening = is_listening and self._send(piece)
        except Exception as error:
            body = base64.b64encode(_logged(error)).decode()
            trailers = f"{ERROR_TYPE}: {type(error).__name__}\r\n{ERROR_BODY}: {body}\r\n".encode()
        try:
            if not is_listening:
                raise BrokenPipeError
            connection.send(b"0\r\n" + trailers + b"\r\n")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()

    def _send(self, piece: bytes) -> bool:
        """Send one chunk, at once. False when the connection is broken."""
        try:
            self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError:
            return False
        return True


def _pieces(answer: Mapping[str, Any]) -> Iterable[str | bytes]:
    if streaming.is_streamed(answer):
        pieces: Iterable[str | bytes] = answer["body"]
        return pieces
    body = answer.get("body") or ""
    return [base64.b64decode(body) if answer.get("isBase64Encoded") else body]


def _call(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[bytes, Message]:
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.read(), response.headers


def _logged(error: BaseException) -> bytes:
    """The failure as Lambda's JSON, which also goes into the log, as one line."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
    content = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": frames})
    print(content, file=sys.stderr)
    return content.encode()


def _report(connection: http.client.HTTPConnection, target: str, error: BaseException) -> None:
    """Tell the Runtime API that something failed as a whole."""
    headers = {"Content-Type": "application/vnd.aws.lambda.error+json", ERROR_TYPE: type(error).__name__}
    _call(connection, "POST", target, _logged(error), **headers)


def handler_from(name: str) -> Handler:
    """The handler ``package.module.function``. Raises what its import raises."""
    module, _, function = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module.replace("/", ".")), function)
    return handler


def main() -> NoReturn:
    """Import the handler and run the loop; a handler that cannot be imported is an error of the initialisation."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    os.environ[streaming.RUNTIME_VARIABLE] = "1"
    try:
        handler = handler_from(os.environ["_HANDLER"])
    except BaseException as error:
        _report(connection, f"{API}/init/error", error)
        sys.exit(1)
    Runtime(connection, handler).run()


if __name__ == "__main__":
    main()
