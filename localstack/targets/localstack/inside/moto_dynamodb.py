"""DynamoDB for LocalStack: moto's, in a process of its own, where LocalStack would download DynamoDB Local.

As a program, `moto_dynamodb.py PORT`, it serves one request at a time, which makes conditional writes atomic.
"""

import copy
import importlib
import logging
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

PARENT_POLL_SECONDS = 1.0


def install() -> None:
    """Let LocalStack start moto where it starts DynamoDB Local."""
    server = importlib.import_module("localstack.services.dynamodb.server").DynamodbServer
    shell_command_thread = importlib.import_module("localstack.utils.run").ShellCommandThread

    def started(self: Any) -> Any:
        account = {"MOTO_ACCOUNT_ID": "000000000000"}
        command = [sys.executable, __file__, str(self.port)]
        thread = shell_command_thread(command, auto_restart=True, name="moto-dynamodb", env_vars=account)
        thread.start()
        return thread

    server.do_start_thread = started


def light_transactions() -> None:
    """Have a transaction keep what it is about to change, in case that it fails.

    By itself moto copies the whole table for each item of a transaction: seconds, once a table has some megabytes.
    """
    models: Any = importlib.import_module("moto.dynamodb.models")
    write = models.DynamoDBBackend.transact_write_items
    models.copy = SimpleNamespace(deepcopy=lambda one: one if isinstance(one, models.Table) else copy.deepcopy(one))

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        before = [_before(self, operation) for item in transact_items for operation in item.values()]
        try:
            write(self, transact_items)
        except Exception:
            for table, keys, item in before:
                _put_back(table, keys, item)
            raise

    models.DynamoDBBackend.transact_write_items = transact_write_items


def whole_binaries() -> None:
    """Have a query of an index that asks for some attributes answer binary ones as they are.

    By itself moto decodes their base64 twice, once for the index and once for the attributes: an error, or other bytes.
    """
    one: Any = importlib.import_module("moto.dynamodb.models.dynamo_type").DynamoType
    plain = one.to_regular_json

    def to_regular_json(self: Any) -> Any:
        return {self.type: self.value} if isinstance(self.value, bytes) else plain(self)

    one.to_regular_json = to_regular_json


def _before(backend: Any, operation: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The table, the keys and a copy of the item that an operation of a transaction is about."""
    table = backend.get_table(operation["TableName"])
    keys = backend.get_keys_value(table, operation.get("Key") or operation["Item"])
    return table, keys, copy.deepcopy(table.get_item(*keys))


def _put_back(table: Any, keys: Any, item: Any) -> None:
    hash_key, range_key = keys
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key:
        table.items[hash_key][range_key] = item
    else:
        table.items[hash_key] = item


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(0)


def main(port: int) -> None:
    """Serve on loopback until the parent ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    light_transactions()
    whole_binaries()
    moto = importlib.import_module("moto.moto_server.werkzeug_app")
    application = moto.DomainDispatcherApplication(moto.create_backend_app)
    importlib.import_module("werkzeug.serving").run_simple("127.0.0.1", port, application, threaded=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
