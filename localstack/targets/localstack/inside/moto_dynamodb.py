"""DynamoDB for LocalStack: moto's, in a process of its own, where LocalStack would download DynamoDB Local.

As a program, `moto_dynamodb.py PORT`, it serves one request at a time, which makes conditional writes atomic.
"""

import importlib
import logging
import os
import sys
import threading
import time
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


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(0)


def main(port: int) -> None:
    """Serve on loopback until the parent ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = importlib.import_module("moto.moto_server.werkzeug_app")
    application = moto.DomainDispatcherApplication(moto.create_backend_app)
    importlib.import_module("werkzeug.serving").run_simple("127.0.0.1", port, application, threaded=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
