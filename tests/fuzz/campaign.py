"""What scripts/fuzz does: each target for a while in its own process, findings kept beside the line that repeats them.

What must never stand here: a target.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets.every import TARGETS
from tests.fuzz.targets.target import Target

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(".cache/fuzz")
"""Below it: corpus/NAME, what led somewhere new; found/, inputs that broke a promise."""
SECONDS_FOR_ONE = 5
"""An input that takes longer is a finding."""
MEGABYTES = 1024
RUNS = re.compile(r"Done (\d+) runs|#(\d+)\s")


def main(arguments: list[str] | None = None) -> int:
    """0 when every promise held, 1 with a finding, 2 for a wrong question."""
    asked = _asked(arguments)
    if asked.list:
        print("\n".join(TARGETS))
        return 0
    if asked.again:
        return again(*asked.again)
    faults = [name for name in asked.target or TARGETS if not campaign(TARGETS[name], asked.seconds)]
    print(f"\n{len(faults)} of {len(asked.target or TARGETS)} targets found something: {' '.join(faults) or '-'}")
    return 1 if faults else 0


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz what reads bytes of strangers.")
    parser.add_argument("target", nargs="*", help="which ones; all without")
    parser.add_argument("--seconds", type=int, default=30, help="for each target (30)")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="run one kept input, without a fuzzer")
    asked = parser.parse_args(arguments)
    unknown = {*asked.target, *(asked.again or ())[:1]} - TARGETS.keys()
    if unknown:
        parser.error(f"unknown target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    return asked


def again(name: str, file: str) -> int:
    """Run one input; what it raises is shown as it is."""
    TARGETS[name].run(Path(file).read_bytes())
    print(f"{name} holds for {file}")
    return 0


def campaign(target: Target, seconds: int) -> bool:
    """Fuzz one target; whether every promise held."""
    corpus, found = ROOT / KEPT / "corpus" / target.name, ROOT / KEPT / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    before = set(found.iterdir())
    command = [sys.executable, "-m", "tests.fuzz.one_target", target.name, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-timeout={SECONDS_FOR_ONE}", f"-rss_limit_mb={MEGABYTES}"]
    command += [f"-max_len={target.longest}", f"-artifact_prefix={found}/{target.name}-"]
    if target.tokens:
        words = corpus.parent / f"{target.name}.dict"
        words.write_text("".join(f'"{_spelled(token)}"\n' for token in target.tokens), encoding="ascii")
        command.append(f"-dict={words}")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = [line for line in process.stdout if not line.startswith(("INFO", "WARNING: no interesting"))]
    if process.returncode == 0:
        print(f"{target.name:12} held for {seconds} s, {_runs(said)} inputs", flush=True)
        return True
    _tell(target.name, said, [path for path in found.iterdir() if path not in before])
    return False


def _spelled(token: bytes) -> str:
    return "".join(chr(byte) if 48 <= byte < 58 or 97 <= byte < 123 else f"\\x{byte:02x}" for byte in token[:60])


def _runs(said: list[str]) -> str:
    counts = [found[1] or found[2] for line in said if (found := RUNS.match(line))]
    return f"{int(counts[-1]):,}" if counts else "?"


def _tell(name: str, said: list[str], inputs: list[Path]) -> None:
    shown = [line.rstrip() for line in said if not line.startswith(("#", "=="))]
    print("\n".join([f"\n{name} FOUND SOMETHING:", *shown[-40:]]))
    for path in inputs:
        print(f"again: .venv/bin/python -m tests.fuzz.campaign --again {name} {path.relative_to(ROOT)}", flush=True)
    print(f"when it is mended, add the input to the seeds of {name}, and a test by its name\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
