"""Ten minutes on a lent GPU: what it takes there, the tests, the training, and what comes back.

    python benchmarks/gpu.py pack --data FOLDER --init WEIGHTS [--limit 60] [--python 3.12]
    python benchmarks/gpu.py train --out FOLDER [--minutes 10] [--batch 64] [--device cuda]

`pack`, run where there is a network, fills `training/gpu` with wheels for a machine that has PyTorch and the
usual scientific packages but no network, with random pictures of the folder up to so many MiB, and with the
weights to go on from. `train`, run there in a copy of the checkout, installs the wheels, runs the `gpu`
tests, trains the recipe photo and exports: weights and log lie in --out. It can be rehearsed anywhere with
`pack --python` of this machine's version and `train --device cpu --minutes 1 --batch 2`.
"""

import argparse
import csv
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKED = ROOT / "training" / "gpu"
WHEELS = ("constriction", "cvvdp", "pytorch-msssim", "ssimulacra2")
PLATFORM = ("--implementation", "cp", "--platform", "manylinux2014_x86_64")
TESTS_MAY_TAKE = 180  # seconds


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("--data", type=Path, required=True)
    packing.add_argument("--init", type=Path, required=True)
    packing.add_argument("--limit", type=float, default=60, help="MiB in all")
    packing.add_argument("--python", default="3.12", help="version there")
    packing.set_defaults(run=pack)
    training = commands.add_parser("train")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--minutes", default="10")
    training.add_argument("--batch", type=int, default=64)
    training.add_argument("--device", default="cuda")
    training.set_defaults(run=train)
    arguments = parser.parse_args()
    arguments.run(arguments)


def pack(arguments: argparse.Namespace) -> None:
    """Fill the folder that travels."""
    shutil.rmtree(PACKED, ignore_errors=True)
    wheels, pictures = PACKED / "wheels", PACKED / "pictures"
    pictures.mkdir(parents=True)
    fetch = ("-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", *PLATFORM, "-d", wheels)
    fetch += ("--python-version", arguments.python)
    subprocess.run([sys.executable, *fetch, *WHEELS], check=True)
    shutil.copy(arguments.init, PACKED / "init.safetensors")
    left = arguments.limit * 2**20 - sum(f.stat().st_size for f in PACKED.rglob("*") if f.is_file())
    index = arguments.data / "index.csv"
    withheld = set()
    if index.exists():
        shutil.copy(index, pictures)
        with index.open(newline="") as file:
            withheld = {row["file"] for row in csv.DictReader(file) if row.get("release") == "no"}
    members = [(shard, name) for shard in sorted(arguments.data.glob("*.tar")) for name in names(shard)]
    random.Random(1).shuffle(members)
    for shard, name in members:
        if name in withheld:
            continue
        with tarfile.open(shard) as source, tarfile.open(pictures / shard.name, "a") as target:
            member = source.getmember(name)
            if member.size > left:
                break
            target.addfile(member, source.extractfile(member))
            left -= member.size + 1024
    print(f"{PACKED}: {sum(f.stat().st_size for f in PACKED.rglob('*') if f.is_file()) / 2**20:.1f} MiB")


def names(shard: Path) -> list[str]:
    """The pictures of a shard."""
    with tarfile.open(shard) as tar:
        return tar.getnames()


def train(arguments: argparse.Namespace) -> None:
    """Install, test, train, export."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    site = PACKED / "site"
    install = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--upgrade", "--target", site)
    subprocess.run([sys.executable, *install, *(PACKED / "wheels").iterdir()], check=True)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "PYTHONUNBUFFERED": "1"}

    def run(log: str, *command: str) -> None:
        with (arguments.out / log).open("wb") as file:
            done = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert done.stdout is not None
            for line in done.stdout:
                sys.stdout.buffer.write(line)
                file.write(line)
            done.wait()
        if done.returncode:
            print(f"{command[2]} ended with {done.returncode}", flush=True)

    python = sys.executable
    run("tests.log", "timeout", str(TESTS_MAY_TAKE), python, "-m", "pytest", "-q", "-m", "gpu")
    recipe = (ROOT / "recipes" / "photo.toml").read_text()
    recipe = re.sub(r"(?m)^batch = .*$", f"batch = {arguments.batch}", recipe)
    (arguments.out / "photo.toml").write_text(recipe)
    command = (python, "-m", "aecodec", "train", str(arguments.out / "photo.toml"))
    sources = ("--data", str(PACKED / "pictures"), "--init", str(PACKED / "init.safetensors"))
    how = ("--device", arguments.device, "--minutes", arguments.minutes, "--out", str(arguments.out))
    run("train.log", *command, *sources, *how)


if __name__ == "__main__":
    main()
