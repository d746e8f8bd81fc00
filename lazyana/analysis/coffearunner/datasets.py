"""CoffeaRunner's datasets and campaigns: what its fileset files leave to be guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyana.analysis.coffearunner.collected import Each, Keeping
from lazyana.analysis.coffearunner.schema import Dataset
from lazyana.analysis.defaults import ERAS
from lazyana.analysis.filecheck import with_missing
from lazyana.data.fileset import Fileset
from lazyana.errors import FileError, InputError, InputTypeError, LazyanaError, did_you_mean

Say = Callable[[str], None]
"""Takes a notice for the user."""


@dataclass(frozen=True)
class Campaign:
    """What a campaign is here.

    Attributes
    ----------
    era
        The ``year`` of the datasets.
    golden_json
        Folder and name of the golden JSON, where it is not that of the era.
    corrections
        Whether the corrections of the era are those of the campaign.
    """

    era: str
    golden_json: tuple[str, str] | None = None
    corrections: bool = True


_EOY_2017 = (
    "Collisions17/13TeV/ReReco",
    "Cert_294927-306462_13TeV_EOY2017ReReco_Collisions17_JSON_v1.txt",
)
_EARLY_2022 = ("Collisions22", "Cert_Collisions2022_355100_357900_Golden.json")

CAMPAIGNS: Mapping[str, Campaign] = {
    "2016preVFP_UL": Campaign("2016_PreVFP"),
    "2016postVFP_UL": Campaign("2016_PostVFP"),
    "2017_UL": Campaign("2017"),
    "2018_UL": Campaign("2018"),
    "UL16_preVFP": Campaign("2016_PreVFP"),
    "UL16_postVFP": Campaign("2016_PostVFP"),
    "UL17": Campaign("2017"),
    "UL18": Campaign("2018"),
    "Rereco17_94X": Campaign("2017", _EOY_2017, corrections=False),
    "Winter22Run3": Campaign("2022_preEE", _EARLY_2022, corrections=False),
    "Summer22": Campaign("2022_preEE"),
    "Summer22EE": Campaign("2022_postEE"),
    "Summer23": Campaign("2023_preBPix"),
    "Summer23BPix": Campaign("2023_postBPix"),
    "Summer24": Campaign("2024"),
    "Prompt25": Campaign("2025"),
    **{era: Campaign(era) for era in ERAS},
}
"""Campaigns by name; small and capital letters, ``_`` and ``-`` are alike."""

_DATA = re.compile(
    r"^/?(?P<primaryDataset>[A-Za-z]+\d?)(?:[/_].*?)?Run(?P<taken>20\d\d)(?P<era>[A-Z])(?![A-Za-z0-9])"
)
_PRIMARY = re.compile(
    r"^/?(?P<primaryDataset>(?:(?:Single|Double)(?:Muon|Electron|EG)|MuonEG|Muon|EGamma|BTagMu|BTagCSV|JetHT"
    r"|JetMET|MET|HTMHT|Tau|ZeroBias|ParkingHH)\d?)(?=$|[/_])"
)


def campaign_of(given: Dataset, say: Say) -> Campaign:
    """What the campaign of a configuration is here.

    Parameters
    ----------
    given
        The section ``dataset``.
    say
        Takes the notice.

    Raises
    ------
    InputError
        A campaign that is not known, or of another year.
    """
    by_letters = {_letters(name): one for name, one in CAMPAIGNS.items()}
    found = by_letters.get(_letters(given.campaign))
    if found is None:
        msg = (
            f"dataset.campaign is {given.campaign!r}, which is not known."
            f"{did_you_mean(given.campaign, CAMPAIGNS)} Campaigns are: {', '.join(CAMPAIGNS)}."
        )
        raise InputError(msg)
    if given.year[:4] != found.era[:4]:
        msg = (
            f"dataset.year is {given.year!r}, but dataset.campaign {given.campaign!r} is of "
            f"{found.era[:4]}: correct one of them."
        )
        raise InputError(msg)
    say(
        f"dataset.campaign {given.campaign!r}, dataset.year {given.year!r}: the year of all "
        f"datasets is {found.era!r}. Event filters are not part of it: put eventFlags into skim."
    )
    return found


def datasets_of(given: Dataset, folder: Path, era: str, say: Say, each: Each = Keeping) -> Fileset:
    """The datasets of the fileset files, with metadata.

    Parameters
    ----------
    given
        The section ``dataset``.
    folder
        That of the configuration: paths may be relative to it.
    era
        The year of the datasets.
    say
        Takes the notices.
    each
        Context of what may be wrong by itself.

    Returns
    -------
    Fileset
        Each dataset is a sample of its own name. ``isMC``, ``era`` and ``primaryDataset`` are taken
        from names such as ``MuonEG_Run2017B-UL2017``, where the file does not say.

    Raises
    ------
    FileError, InputError, InputTypeError
        No fileset, two different ones of one dataset, or data of another year.
    """
    for one in given.jsons:
        if not isinstance(one, str | Path | Mapping | list | Fileset):
            msg = f"dataset.jsons holds {one!r}: write the names of fileset files."
            raise InputTypeError(msg)
    if not given.jsons:
        msg = "dataset.jsons is empty: write the name of at least one fileset file."
        raise InputError(msg)
    sources = [_placed(folder, one) for one in given.jsons]
    found: dict[str, Any] = {}
    failed: list[FileError] = []
    for source in sources:
        for name, entry in _parsed(source, each, failed).items():
            known = {**entry, "metadata": dict(entry["metadata"])}
            with each():
                known["metadata"] = _known(name, entry["metadata"], era)
            with each():
                _check_once(name, known, found)
            found[name] = known
    if failed and not found:
        raise failed[0]
    lenient = with_missing(found) if failed else None
    fileset = lenient if isinstance(lenient, Fileset) else Fileset.parse(found)
    data = [one.name for one in fileset.datasets if one.is_mc is False]
    others = [one.name for one in fileset.datasets if one.is_mc is not False]
    say(
        f"dataset.jsons: each dataset is a sample. Data are {', '.join(data) or 'none'}; simulation"
        f" {', '.join(others) or 'none'}. Where that is wrong, write metadata into the JSON: "
        '{"files": [...], "metadata": {"isMC": false}}.'
    )
    return fileset


def _parsed(source: Any, each: Each, failed: list[FileError]) -> Mapping[str, Any]:
    """A fileset; the files of one in a file may also be where the program was started."""
    try:
        return Fileset.parse(source).to_dict()
    except FileError as error:
        if isinstance(source, Path):
            with suppress(LazyanaError, OSError, ValueError):
                return Fileset.parse(json.loads(source.read_text("utf-8"))).to_dict()
        failed.append(error)
        with each():
            raise
    # With the names of its datasets more can be said.
    lenient = with_missing(source)
    return lenient.to_dict() if isinstance(lenient, Fileset) else {}


def _check_once(name: str, entry: Any, found: Mapping[str, Any]) -> None:
    if name in found and found[name] != entry:
        msg = (
            f"Dataset {name!r} is in two fileset files of dataset.jsons, which differ: "
            "CoffeaRunner forgets the first. Give them different names, or keep one."
        )
        raise InputError(msg)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _placed(folder: Path, source: Any) -> Any:
    """A path that is relative to the configuration, if that is where the file is."""
    if not isinstance(source, str | Path):
        return source
    return placed(folder, source) or source


def placed(folder: Path, name: str | Path) -> Path | None:
    """A file that is there: beside the configuration, or where the program was started."""
    for path in (folder / Path(name).expanduser(), Path(name).expanduser()):
        if path.is_file():
            return path.absolute()
    return None


def missing(folder: Path, name: str | Path) -> str:
    """The end of a message: where a file is not, and one of that name which is elsewhere.

    Parameters
    ----------
    folder
        That of the configuration.
    name
        As for `placed`.
    """
    path = Path(name).expanduser()
    if path.is_absolute():
        return "which does not exist."
    places = list(dict.fromkeys([folder.absolute(), Path.cwd()]))
    where = f"neither in {places[0]} nor in" if len(places) > 1 else "not in"
    # Where CoffeaRunner and packages like it keep their files.
    elsewhere = [
        found.relative_to(place)
        for place in places
        for depth in ("", "*/", "*/*/")
        for found in sorted(place.glob(f"src/*/data/{depth}{path.name}"))
    ]
    hint = f" Did you mean {' or '.join(repr(str(one)) for one in elsewhere[:3])}?"
    return f"which is {where} {places[-1]}.{hint if elsewhere else ' Write its path.'}"


def _known(name: str, metadata: Mapping[str, Any], era: str) -> dict[str, Any]:
    """The metadata of a dataset; what they do not say is guessed from its name."""
    known = {"sample": name, "year": era, **metadata}
    if any(key in metadata for key in ("isMC", "is_mc", "mc")):
        return known
    data = _DATA.match(name)
    if data is not None and data["taken"] != str(known["year"])[:4]:
        msg = (
            f"Dataset {name!r} is of {data['taken']}, dataset.campaign of {era[:4]}: run them "
            "apart, or leave it out with dataset.filter."
        )
        raise InputError(msg)
    found = data or _PRIMARY.match(name)
    said = found.groupdict() if found is not None else {}
    said.pop("taken", None)
    return {"isMC": found is None, **said, **known}
