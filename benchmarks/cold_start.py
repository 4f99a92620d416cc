"""What each function's imports cost, as a ratio to a bare interpreter, with and without the byte code we ship.

Runs each handler's import in a process that sees the built function, its built layers and boto3, nothing else; the
variants take turns, so that a noisy machine disturbs them alike, and what counts is the processor's time. What an
environment makes at its start on Lambda (the clients of AWS) is a variant of its own. The figures before are those of
benchmarks/baselines/cold-start.json or, with `--before`, those of another commit's build, which takes its turns, too.
Build first: `make build`. `--help` lists options.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
# Modules worth a look: what costs most, and what a plane must not load.
NOTABLE = ("jwt", "pydantic", "aws_lambda_powertools", "boto3", "psycopg2", "requests", "gtts", "PIL")
PROGRAM = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
if sys.argv[2]:
    __import__(sys.argv[2])
print(json.dumps([len(sys.modules), [n for n in json.loads(sys.argv[3]) if n in sys.modules]]))
"""
ENVIRONMENT = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true", "JWKS": '{"keys":[]}'}
START = {
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "RATE_LIMIT_TABLE": "limits",
    "BUCKET": "bucket",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "TOKEN_ISSUER": "issuer",
    "TOKEN_AUDIENCE": "audience",
}


def measure(paths: list[str], module: str, **more: str) -> tuple[float, int, list[str]]:
    """Seconds of a processor for the whole process, how many modules it loaded, and which notable ones."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, json.dumps(paths), module, json.dumps(NOTABLE)],
        env=ENVIRONMENT | more,
        capture_output=True,
        text=True,
        check=True,
    )
    count, notable = json.loads(done.stdout)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, count, notable


def without_byte_code(folder: Path, target: Path) -> Path:
    """A copy of a folder as it would be without our compilation, which Lambda's read-only disk cannot cache."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def functions(build: Path) -> dict[str, tuple[Path, list[Path]]]:
    """Handler module -> the folder of its code and those of its layers; the offline layer is not attached on AWS."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    found: dict[str, tuple[Path, list[Path]]] = {}
    for name, described in template["Resources"].items():
        if described["Type"] != "AWS::Serverless::Function":
            continue
        layers = [layer["Ref"] for layer in described["Properties"]["Layers"] if "Ref" in layer]
        module = described["Properties"]["Handler"].rpartition(".")[0]
        found[module] = (build / name, [build / layer / "python" for layer in layers])
    return found


def main() -> None:
    """Measure and print a table; write it to benchmarks/results/cold-start.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / ".local/build", help="what sam build wrote")
    parser.add_argument("--boto3", type=Path, required=True, help="a site-packages folder with boto3, as Lambda has it")
    parser.add_argument("--before", type=Path, help="what sam build wrote of another commit")
    parser.add_argument("--only", nargs="*", default=[], metavar="MODULE", help="these alone; writes nothing")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (the median counts)")
    options = parser.parse_args()

    before = json.loads((ROOT / "benchmarks/baselines/cold-start.json").read_text())
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        stripped: dict[Path, Path] = {}
        for module, (code, layers) in sorted(functions(options.build).items()):
            if options.only and module not in options.only:
                continue
            for folder in (code, *layers):
                if folder not in stripped:
                    stripped[folder] = without_byte_code(folder, Path(scratch) / str(len(stripped)))
            compiled = [str(folder) for folder in (code, *layers)] + [str(options.boto3)]
            plain = [str(stripped[folder]) for folder in (code, *layers)] + [str(options.boto3)]
            bare, ours, uncompiled, started, started_before = [], [], [], [], []
            earlier = (
                [str(options.before / folder.relative_to(options.build)) for folder in (code, *layers)]
                if (options.before)
                else []
            )
            for _ in range(options.rounds):
                bare.append(measure([], "")[0])
                ours.append((result := measure(compiled, module))[0])
                uncompiled.append(measure(plain, module)[0])
                started.append(measure(compiled, module, **START)[0])
                if options.before:
                    started_before.append(measure([*earlier, str(options.boto3)], module, **START)[0])
            base = statistics.median(bare)
            figures = " | ".join(f"{statistics.median(each) / base:.1f}" for each in (ours, started, uncompiled))
            if options.before:
                milliseconds = [1000 * statistics.median(each) for each in (bare, started_before, started)]
                rows.append(f"| `{module}` | " + " | ".join(f"{each:.0f}" for each in milliseconds) + " |")
                print(rows[-1], flush=True)
                continue
            rows.append(f"| `{module}` | {before.get(module, '')} | {figures} | {result[1]} | {', '.join(result[2])} |")
            print(rows[-1], flush=True)
    if options.only or options.before:
        return
    table = [
        "| function | imports before | imports now | and the clients of a start on Lambda | without our byte code"
        " | modules | of these |",
        "|---|---:|---:|---:|---:|---:|---|",
        *rows,
    ]
    target = ROOT / "benchmarks/results/cold-start.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        "# Imports at a cold start, in times of a bare interpreter\n\n`make bench-cold-start`\n\n"
        + "\n".join(table)
        + "\n"
    )


if __name__ == "__main__":
    main()
