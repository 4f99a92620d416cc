"""What `POST /image/generate` is compared with: a plain FastAPI container, nothing shared with the platform's code.

One HTTP client and one S3 client, both kept; it asks the same provider and writes the same three objects to the same
S3, one after the other as a plain container would. It knows no caller, no limit, no history and no second provider.
"""

import hashlib
import json
import os
import time
import uuid
from typing import Annotated, Any
from urllib.parse import quote

import boto3  # type: ignore[import-untyped,unused-ignore]
import httpx  # type: ignore[import-not-found,unused-ignore]
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]
from fastapi import FastAPI  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel, Field

BUCKET = os.environ["BUCKET"]
PROVIDER = os.environ["PROVIDER"]
app = FastAPI()
provider = httpx.Client(
    trust_env=False,
    headers={"Authorization": f"Bearer {os.environ['PROVIDER_KEY']}"},
    limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
)
s3 = boto3.client("s3", config=Config(max_pool_connections=64, signature_version="s3v4", proxies={}))


class Wanted(BaseModel):
    """What picture to make."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    size: Annotated[str, Field(pattern=r"^\d+x\d+$")] = "1024x1024"
    seed: int = 0


@app.post("/image/generate", status_code=201)
def generate(wanted: Wanted) -> dict[str, Any]:
    """Ask the provider; store the input, the picture and the record."""
    width, height = wanted.size.split("x")
    start = time.perf_counter()
    answer = provider.get(
        f"{PROVIDER}/{quote(wanted.prompt, safe='')}", params={"width": width, "height": height, "seed": wanted.seed}
    )
    answer.raise_for_status()
    taken = round((time.perf_counter() - start) * 1000)
    name = str(uuid.uuid4())
    record = {"id": name, "prompt": wanted.prompt, "size": wanted.size, "seed": wanted.seed, "latencyMs": taken}
    record["promptHash"] = hashlib.sha256(wanted.prompt.encode()).hexdigest()
    put(f"plain/{name}/input.json", wanted.model_dump_json().encode(), "application/json")
    put(f"plain/{name}/original", answer.content, answer.headers["content-type"])
    put(f"plain/{name}/record.json", json.dumps(record).encode(), "application/json")
    return record


def put(key: str, content: bytes, content_type: str) -> None:
    """Write one object."""
    s3.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=content_type)
