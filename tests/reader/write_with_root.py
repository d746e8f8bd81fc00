"""Writes the files of ROOT's own making that the reader is tested on (needs ROOT)."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

import ROOT

EVENTS = 500
SCALARS = [
    "Ob",
    "Bb",
    "bB",
    "Sh",
    "sH",
    "Ii",
    "iI",
    "Lq",
    "lQ",
    "Ff",
    "Dd",
]  # ROOT's letter, then that of `array`


def write(path: Path, algorithm: int, level: int, *, offset_map: bool = False) -> None:
    """One tree of every kind of branch, in many baskets."""
    file = ROOT.TFile(str(path), "recreate")
    file.SetCompressionAlgorithm(algorithm)
    file.SetCompressionLevel(level)
    tree = ROOT.TTree("Events", "Events")
    if offset_map:
        features = ROOT.ROOT.TIOFeatures()
        features.Set("kGenerateOffsetMap")
        tree.SetIOFeatures(features)
    tree.SetAutoFlush(137)
    scalars = {}
    for kind, letter in SCALARS:
        scalars[kind] = array(letter, [0])
        tree.Branch(f"scalar_{ord(kind)}", scalars[kind], f"scalar_{ord(kind)}/{kind}")
    number = array("i", [0])
    tree.Branch("nItem", number, "nItem/I")
    items = array("f", [0.0] * 50)
    tree.Branch("Item_pt", items, "Item_pt[nItem]/F")
    flags = array("b", [0] * 50)
    tree.Branch("Item_good", flags, "Item_good[nItem]/O")
    fixed = array("f", [0.0] * 3)
    tree.Branch("fixed", fixed, "fixed[3]/F")
    packed = array("d", [0.0])
    tree.Branch("packed", packed, "packed/d[0,100,12]")
    half = array("f", [0.0])
    tree.Branch("half", half, "half/f[0,100,12]")
    vectors = ROOT.std.vector["float"]()
    tree.Branch("vectors", vectors)
    integers = ROOT.std.vector["int"]()
    tree.Branch("integers", integers)
    nested = ROOT.std.vector["std::vector<float>"]()
    tree.Branch("nested", nested)
    text = ROOT.std.string()
    tree.Branch("text", text)
    seed = 1
    for event in range(EVENTS):
        for kind, holder in scalars.items():
            seed = (seed * 1103515245 + 12345) % 2**31
            value = seed % 100 if kind not in "O" else seed % 2
            holder[0] = value / 7 if kind in "FD" else value
        number[0] = seed % 7 if event % 5 else 0
        for i in range(number[0]):
            items[i], flags[i] = event + i / 8, (event + i) % 2
        fixed[0], fixed[1], fixed[2] = event, event / 2, event / 4
        packed[0] = half[0] = event % 100 + 0.5
        vectors.clear()
        integers.clear()
        nested.clear()
        for i in range(seed % 4):
            vectors.push_back(i * 1.5 + event)
            integers.push_back(event - i)
            inner = ROOT.std.vector["float"]()
            for j in range(i):
                inner.push_back(j + event)
            nested.push_back(inner)
        text.assign("x" * (event % 11))
        tree.Fill()
    tree.Write()
    file.Close()


def write_ntuple(path: Path) -> None:
    """The same kinds of columns as an RNTuple."""
    ROOT.gInterpreter.Declare(
        """
        void write_ntuple(const char *path) {
            auto model = ROOT::RNTupleModel::Create();
            auto run = model->MakeField<std::uint32_t>("run");
            auto met = model->MakeField<float>("MET_pt");
            auto good = model->MakeField<bool>("good");
            auto pts = model->MakeField<std::vector<float>>("Muon_pt");
            auto writer = ROOT::RNTupleWriter::Recreate(std::move(model), "Events", path);
            for (int i = 0; i < 500; ++i) {
                *run = i / 10; *met = i * 0.25f; *good = i % 3 == 0;
                pts->assign(i % 4, i * 1.5f);
                writer->Fill();
                if (i % 150 == 149) writer->CommitCluster();
            }
        }
        """
    )
    ROOT.write_ntuple(str(path))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, algorithm, level in (("zlib", 1, 1), ("lzma", 2, 4), ("lz4", 4, 4), ("zstd", 5, 5)):
        write(folder / f"{name}.root", algorithm, level)
    write(folder / "none.root", 1, 0)
    write(folder / "offset_map.root", 5, 5, offset_map=True)
    write_ntuple(folder / "ntuple.root")
