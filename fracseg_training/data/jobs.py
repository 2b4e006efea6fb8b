"""What `fracseg prepare` is asked for, checked before any work, and the jobs that it comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from FractureSegmentationLib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Job = Callable[[], int]

PATIENT_FILES = ("ct.nii.gz", "bones.nii.gz", "fragments.nii.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The sources of cases and how many are made of each.

    Attributes:
        patients: folders, each named for its patient.
        label_maps: (label image, JSON of its structures' names).
        label_map_cts: CTs made from each label map.
        phantoms: analytic pelves.
        found_cts: CTs of broken pelves from each label map, their bones found by the networks.
        found_bodies: bodies of the label maps put around each patient's bones.
        per_bone: simulations on each bone of a patient.
        per_made_bone: simulations on each other bone.
        seed: of everything that is drawn.
    """

    patients: tuple[Path, ...]
    label_maps: tuple[tuple[Path, Path], ...]
    label_map_cts: int
    phantoms: int
    found_cts: int
    found_bodies: int
    per_bone: int
    per_made_bone: int
    seed: int


def refuse_unusable(request: Request) -> None:
    """Refuse sources of one name, whose cases would replace each other, and incomplete patients.

    Raises:
        InputError: two sources share a name, or a patient lacks a file.
    """
    from fracseg_training.data.sources import anatomy_of

    _reject_duplicates(
        (folder.name for folder in request.patients),
        "Several patients have the same name: {}.",
        "A patient goes by the name of its folder: give each folder once, and rename the others.",
    )
    _reject_duplicates(
        (anatomy_of(labels) for labels, _ in request.label_maps),
        "Several label maps stand for the same patient: {}.",
        "A label map goes by its file name up to the first underscore: rename the file.",
    )
    _reject_duplicates(
        _prefixes(request),
        "The cases of several sources would have the same names: {}...",
        "Rename the patient's folder or the label map.",
    )
    missing = [
        f"{folder.name}: {', '.join(lacking)}"
        for folder in request.patients
        if (lacking := [name for name in PATIENT_FILES if not (folder / name).is_file()])
    ]
    if missing:
        raise InputError(
            f"Files of patients are missing ({'; '.join(missing)}).",
            f"The folder of a patient holds {', '.join(PATIENT_FILES[:-1])} and "
            f"{PATIENT_FILES[-1]}.",
        )


def jobs_of(out: Path, request: Request) -> list[Job]:
    """One job per patient, CT and phantom; each fills up what `out` lacks and counts it.

    Args:
        out: folder of cases.
        request: what is asked for.
    """
    from fracseg_training.data import predicted, sources

    made, seed = request.per_made_bone, request.seed
    jobs: list[Job] = [
        partial(sources.add_patient, out, folder, request.per_bone, seed)
        for folder in request.patients
    ]
    jobs += [
        partial(sources.add_label_map_ct, out, *label_map, number, made, seed)
        for label_map in request.label_maps
        for number in range(request.label_map_cts)
    ]
    jobs += [
        partial(sources.add_phantom, out, number, made, seed) for number in range(request.phantoms)
    ]
    jobs += [
        partial(predicted.add_broken_ct, out, *label_map, number, seed)
        for label_map in request.label_maps
        for number in range(request.found_cts)
    ]
    jobs += [
        partial(predicted.add_embedded_patient, out, folder, *host, number, seed)
        for folder in request.patients
        for number in range(request.found_bodies)
        for host in [request.label_maps[number % len(request.label_maps)]]
    ]
    return jobs


def _prefixes(request: Request) -> list[str]:
    """What the names of the cases of every job begin with."""
    from fracseg_training.data.sources import anatomy_of

    anatomies = [anatomy_of(labels) for labels, _ in request.label_maps]
    return [
        *(f"real_{folder.name}" for folder in request.patients),
        *(f"{name}_{n}" for name in anatomies for n in range(request.label_map_cts)),
        *(f"phantom_{n}" for n in range(request.phantoms)),
        *(f"found_{name}_{n}" for name in anatomies for n in range(request.found_cts)),
        *(
            f"found_real_{f.name}_{n}"
            for f in request.patients
            for n in range(request.found_bodies)
        ),
    ]


def _reject_duplicates(names: Iterable[str], message: str, remedy: str) -> None:
    """Names that differ in case alone are one file on some disks."""
    counts = Counter(name.casefold() for name in names)
    if twins := sorted(name for name, count in counts.items() if count > 1):
        raise InputError(message.format(", ".join(twins)), remedy)
