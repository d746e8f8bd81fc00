"""Make what `example_config.py` reads: the filesets in datasets/, and params/sample.yaml.

Without ``--real`` they are of the embedded sample, which is written too. With it they are of files
of the experiment in a folder: see README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from omegaconf import OmegaConf

from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.inputs import write_fileset, write_inputs, write_parameters
from lazyana.toy.sample import write_sample

here = Path(__file__).resolve().parent


def use_real_files(data: Path, corrections: Path) -> None:
    """Use the files of the experiment that are in a folder, and toy corrections for the rest."""
    paths = {
        "simulation": data / "nanoaod" / "nano_dy.root",
        "data": data / "nanoaod" / "nano_dimuon.root",
        "golden": data / "lumi" / "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt",
        "pileup": data / "corrections" / "puWeights2025.json.gz",
        "jets": data / "corrections" / "jet_jerc_2018UL.json.gz",
    }
    missing = [str(path) for path in paths.values() if not path.is_file()]
    if missing:
        raise SystemExit(f"--real needs files that are not there: {', '.join(missing)}")
    metadata = {"sample": "DYJetsToLL", "year": "2018", "isMC": True, "xsec": 6077.22}
    write_fileset(here, "DYJetsToLL_M-50", [str(paths["simulation"])], metadata)
    metadata = {"sample": "DATA_SingleMuon", "year": "2018", "isMC": False, "era": "A"}
    metadata["primaryDataset"] = "SingleMuon"
    write_fileset(here, "DATA_SingleMuon", [str(paths["data"])], metadata)

    jets = {
        "json_path": str(paths["jets"]),
        "jec_mc": "Summer20UL18NanoV15_V1_MC",
        "jer": "Summer19UL18_JRV2_MC",
    }
    pileup = {"file": str(paths["pileup"]), "name": "Collisions25_Prompt_goldenJSON"}
    real = {
        "lumi": {"goldenJSON": {"2018": str(paths["golden"])}},
        "pileupJSONfiles": {"2018": pileup},
        # The file has PUPPI jets only: theirs take the place of the corrections of CHS jets.
        "default_jets_calibration": {
            "jet_types": {"AK4PFPuppi": {"2018": jets}},
            "variations": {
                "total_variation": {
                    "AK4PFchs": {"2018": []},
                    "AK4PFPuppi": {"2018": ["JES_Total", "JER"]},
                }
            },
        },
        "jets_calibration": {
            "collection": {"2018": {"AK4PFPuppi": "Jet"}},
            "apply_jer_MC": {"2018": {"AK4PFchs": False, "AK4PFPuppi": True}},
        },
    }
    changes = OmegaConf.merge(toy_parameters(corrections), real)
    write_parameters(here, changes)


def main(arguments: list[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=here / "sample")
    parser.add_argument("events", nargs="?", type=int, default=20_000)
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="use the files in FOLDER")
    given = parser.parse_args(arguments)
    corrections = given.folder / "corrections"
    write_corrections(corrections, overwrite=True)
    if given.real is None:
        fileset = write_sample(given.folder, events=given.events, overwrite=True)
        write_inputs(here, fileset, corrections)
        print(f"wrote {given.folder}")
    else:
        use_real_files(given.real.resolve(), corrections)
        print(f"example_config.py now runs on the files in {given.real}")


if __name__ == "__main__":
    main()
