"""The fakes themselves, as another process uses them."""

import json
import subprocess
import sys
from pathlib import Path

import requests

ROOT = Path(__file__).parents[3]


def test_another_process_can_start_script_and_inspect_the_fakes() -> None:
    command = [sys.executable, "-m", "tests.fakes", "--key", "a-key"]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        requests.Session() as session,
    ):
        session.trust_env = False
        assert process.stdin is not None
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        control = urls["pollinationsUrl"].removesuffix("/image") + "/_fake"

        session.post(f"{control}/next", json=["status:503"])
        picture = f"{urls['pollinationsUrl']}/cat?width=64&height=48"
        answers = [session.get(picture, headers={"Authorization": "Bearer a-key"}).status_code for _ in range(2)]
        assert answers == [503, 200]
        recorded = session.get(f"{control}/requests").json()
        assert [request["target"] for request in recorded] == ["/image/cat?width=64&height=48"] * 2

        session.delete(f"{control}/requests")
        assert session.get(f"{control}/requests").json() == []
        assert session.get(f"{control}/else").status_code == 404
        process.stdin.close()
        assert process.wait(timeout=120) == 0
