"""Make the embedded sample, its corrections and the filesets that `example_config.py` reads.

On real data ``datasets/*.json`` list files of the experiment, and ``params/sample.yaml`` is empty.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from omegaconf import OmegaConf

from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.sample import write_sample

here = Path(__file__).resolve().parent
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "sample"
events = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000

fileset = write_sample(folder, events=events, overwrite=True)
write_corrections(folder / "corrections", overwrite=True)
luminosity = fileset["SingleMuon"]["metadata"]["lumi"]

for name, dataset in (
    ("DYJetsToLL_M-50", "DYJetsToLL"),
    ("DATA_SingleMuon", "SingleMuon"),
    ("TTTo2L2Nu", "TTTo2L2Nu"),
):
    entry = fileset[dataset]
    metadata = {key: str(value) for key, value in entry["metadata"].items()}
    metadata["isMC"] = metadata.pop("is_mc")
    era = f"_Era{metadata['era']}" if "era" in metadata else ""
    full = {
        f"{name}_{metadata['year']}{era}": {"metadata": metadata, "files": list(entry["files"])}
    }
    (here / "datasets" / f"{name}.json").write_text(json.dumps(full, indent=2) + "\n")

changes = toy_parameters(folder / "corrections", luminosity=luminosity)
OmegaConf.save(OmegaConf.create(changes), here / "params" / "sample.yaml")
print(f"wrote {folder}")
