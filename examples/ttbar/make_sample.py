"""Make what `config.py` reads: the embedded sample, the filesets of it, and params/sample.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path

from lazyana.toy.corrections import write_corrections
from lazyana.toy.inputs import write_inputs
from lazyana.toy.sample import write_sample

here = Path(__file__).resolve().parent

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", nargs="?", type=Path, default=here / "sample")
parser.add_argument("events", nargs="?", type=int, default=20_000)
given = parser.parse_args()
fileset = write_sample(given.folder, events=given.events, overwrite=True)
write_corrections(given.folder / "corrections", overwrite=True)
write_inputs(here, fileset, given.folder / "corrections")
print(f"wrote {given.folder}")
