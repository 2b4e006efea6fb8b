"""The sample case: where its files are, and which they are."""

from __future__ import annotations

from dataclasses import dataclass

_COMMIT = "0ddb3a522b51e5f4e39bfcab46900ddb939b5ed2"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """A file on a server.

    Attributes:
        name: its name there, and after the case's name in the cache.
        sha256: of its content, 64 hexadecimal digits.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBone:
    """One bone of a case.

    Attributes:
        bone: its slug.
        ct: HU inside the bone, 0 elsewhere.
        mask: above 0 inside the bone; same grid.
    """

    bone: str
    ct: SampleFile
    mask: SampleFile


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCase:
    """A case in parts.

    Attributes:
        name: without spaces; also how scripts ask for it.
        address: of the folder that holds the files.
        bones: its parts.
    """

    name: str
    address: str
    bones: tuple[SampleBone, ...]

    @property
    def files(self) -> tuple[SampleFile, ...]:
        """All files: CT and mask of every bone."""
        return tuple(file for part in self.bones for file in (part.ct, part.mask))


def _part(bone: str, letters: str, ct_sha256: str, mask_sha256: str) -> SampleBone:
    return SampleBone(
        bone=bone,
        ct=SampleFile(name=f"003_{letters}.nii.gz", sha256=ct_sha256),
        mask=SampleFile(name=f"003_{letters}_mask.nii.gz", sha256=mask_sha256),
    )


PELVIS = SampleCase(
    name="PelvicFracture",
    address=f"https://github.com/YzzLiu/FracSegNet/raw/{_COMMIT}/DataSet/testData/003",
    bones=(
        _part(
            "left_hip",
            "LI",
            "688e56390433c0f496095fb9b01e63a50a61e1f4a3b15ebd0721c8984ccf2a64",
            "5753d14a6a6dafb49de717438e72b6645aeb0540498cdfab95817a6292fd49d7",
        ),
        _part(
            "right_hip",
            "RI",
            "ec2346f92fd022f027b30209fd1b2c3cc7708d1200c9ffc78c2ff6cd8b7b0e07",
            "ad00e83819fd04e8ce489fe667a3b7fbf30bfbe9a70c15f7fe9e5d4322d76cda",
        ),
        _part(
            "sacrum",
            "SA",
            "14236097963e73ecee13c68e8718fff45261302fab396ad825213816ed9740c4",
            "53b94a3855240d8e0f5d946227d3a5e34607d98433d864d1137018a7e878d9df",
        ),
    ),
)
"""A real pelvic fracture from FracSegNet (MIT licence, Liu et al., MICCAI 2023)."""
