"""One case of a list: done once, kept as long as it is the same, never a reason to stop."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.batch import one_case
from FractureSegmentationLib.batch import one_case as fingerprint
from FractureSegmentationLib.batch.one_case import CaseJob, request_sha256, run_case
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import MissingWeightsError, RunCancelledError
from FractureSegmentationLib.inference.engine import choose_engine
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.pipeline import CaseRequest, segment_case
from FractureSegmentationLib.pipeline.models import ModelCache, Weights
from FractureSegmentationLib.progress import CancelToken, Progress
from Testing.tiny_cases import damage, write_tiny_case, write_tiny_model


@pytest.fixture(autouse=True)
def _tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))


@pytest.fixture(scope="module")
def done(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> CaseJob:
    """A case that has been done."""
    folder = tmp_path_factory.mktemp("done")
    ct = write_tiny_case(folder / "Jane Doe")
    job = CaseJob(
        name="case-001",
        line=1,
        ct=ct,
        out=folder / "out" / "case-001",
        settings=SegmentSettings(device="cpu", precision="fp32"),
        bones_file=ct.with_name("bones.nii.gz"),
        writes_meshes=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRACSEG_MODELS", str(tiny_models))
        record = run_case(job)
    assert (record.status, record.is_kept) == ("done", False), record
    return job


@pytest.fixture
def job(done: CaseJob, tmp_path: Path) -> CaseJob:
    """The same case, done, in a folder that the test may spoil."""
    shutil.copytree(done.out.parent.parent, tmp_path, dirs_exist_ok=True)
    ct = tmp_path / "Jane Doe" / "ct.nii.gz"
    return replace(
        done,
        ct=ct,
        out=tmp_path / "out" / "case-001",
        bones_file=ct.with_name("bones.nii.gz"),
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry per case that was segmented: whether it was allowed to replace a result."""
    seen: list[bool] = []

    def counted(request: CaseRequest, *arguments: Any) -> object:
        seen.append(request.overwrite)
        return segment_case(request, *arguments)

    monkeypatch.setattr(one_case, "segment_case", counted)
    return seen


def test_a_case_that_is_done_is_kept_with_what_was_found(job: CaseJob, runs: list[bool]) -> None:
    report = json.loads((job.out / "report.json").read_text(encoding="utf-8"))

    record = run_case(job)

    assert runs == []
    assert (record.status, record.is_kept) == ("done", True)
    assert record.fragment_count == len(report["bones"][0]["fragments"])
    assert record.seconds == pytest.approx(sum(report["seconds"].values()))
    assert record.warnings == tuple(report["warnings"])


def test_a_result_with_a_file_missing_or_empty_is_made_again(
    job: CaseJob, runs: list[bool]
) -> None:
    before = (job.out / "fragments.nii.gz").read_bytes()
    (job.out / "fragments.nii.gz").unlink()
    (job.out / "contact.nrrd").write_bytes(b"")

    record = run_case(job)

    assert (record.status, record.is_kept) == ("done", False)
    assert runs == [True]
    assert (job.out / "fragments.nii.gz").read_bytes() == before
    assert run_case(job).is_kept


def test_other_settings_or_another_ct_are_not_taken_for_done(
    job: CaseJob, runs: list[bool]
) -> None:
    other = replace(job, settings=replace(job.settings, keeps_maps=True))
    report = (job.out / "report.json").read_bytes()

    record = run_case(other)

    assert record.status == "failed"
    assert record.code == "output_exists"
    assert "--overwrite" in record.remedy
    write_tiny_case(job.ct.parent, hu=600)
    assert run_case(job).code == "output_exists"
    assert runs == []
    assert (job.out / "report.json").read_bytes() == report


def test_with_leave_to_replace_it_is_done_again_and_then_kept(
    job: CaseJob, runs: list[bool]
) -> None:
    other = replace(job, settings=replace(job.settings, keeps_maps=True), may_replace=True)

    assert run_case(other).status == "done"
    assert (job.out / "maps").is_dir()
    assert run_case(other).is_kept
    assert runs == [True]


def test_other_weights_of_the_same_name_are_loaded_anew(
    job: CaseJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tmp_path / "models"))
    write_tiny_model(tmp_path / "models")
    model_cache, engine = ModelCache(), choose_engine("torch")
    first = model_cache.load(None, "fracsegmentator-small", engine)
    assert model_cache.load(None, "fracsegmentator-small", engine) is first
    write_tiny_model(tmp_path / "models", seed=1)

    record = run_case(replace(job, may_replace=True), model_cache=model_cache)

    report = json.loads((job.out / "report.json").read_text(encoding="utf-8"))
    assert not record.is_kept
    assert (
        report["weights"][0]["sha256"]
        == model_cache.load(None, "fracsegmentator-small", engine)[0].sha256
    )
    assert report["weights"][0]["sha256"] != first[0].sha256


def test_a_foreign_folder_in_the_place_of_a_result_stays_as_it_is(job: CaseJob) -> None:
    shutil.rmtree(job.out)
    job.out.mkdir()
    (job.out / "thesis.txt").write_text("mine")

    record = run_case(replace(job, may_replace=True))

    assert record.code == "output_exists"
    assert (job.out / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda job: job.ct.unlink(), "bad_input", "CT was not found"),
        (lambda job: damage(job.ct), "bad_input", "damaged"),
        (lambda job: job.bones_file.unlink(), "bad_input", "label file was not found"),
    ],
)
def test_a_case_that_cannot_be_done_is_told_in_one_sentence_without_its_path(
    job: CaseJob, spoil: object, code: str, words: str
) -> None:
    shutil.rmtree(job.out)
    spoil(job)  # type: ignore[operator]

    record = run_case(job)

    assert (record.status, record.code) == ("failed", code)
    assert words in record.error
    assert record.remedy
    assert "Jane" not in str(asdict(record))
    assert list(job.out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), "environment", "not enough memory"),
        (MissingWeightsError("No model.", "Get it."), "missing_weights", "No model."),
        (ZeroDivisionError("/data/Jane Doe"), "failed", "ZeroDivisionError"),
    ],
)
def test_whatever_goes_wrong_becomes_a_record(
    job: CaseJob, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(one_case, "segment_case", fail)
    shutil.rmtree(job.out)

    record = run_case(job)

    assert record.code == code
    assert words in record.error
    assert "Jane" not in str(asdict(record))


def test_cancelling_is_raised_not_recorded(job: CaseJob) -> None:
    shutil.rmtree(job.out)
    progress = Progress()
    progress.token.cancel()

    with pytest.raises(RunCancelledError):
        run_case(job, progress)
    assert list(job.out.parent.iterdir()) == []


WEIGHTS = (Weights(name="one", sha256="0" * 64),)


@pytest.fixture
def request_for(tmp_path: Path) -> CaseRequest:
    """A DICOM-like folder of three files, one of them in a subfolder, and a bone file."""
    folder = tmp_path / "Jane Doe"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("1.dcm", "2.dcm", "sub/3.dcm")):
        (folder / name).write_bytes(bytes([number]) * 100)
    (tmp_path / "bones.nii.gz").write_bytes(b"bones")
    return CaseRequest(ct=folder, out=tmp_path / "out", other_inputs=(tmp_path / "bones.nii.gz",))


def sha256(request: CaseRequest, weights: tuple[Weights, ...] = WEIGHTS) -> str:
    return request_sha256(request, weights, CancelToken())


def test_names_places_dates_device_and_output_do_not_matter(
    request_for: CaseRequest, tmp_path: Path
) -> None:
    before = sha256(request_for)
    moved = tmp_path / "elsewhere"
    shutil.copytree(request_for.ct, moved)
    (moved / "2.dcm").rename(moved / "sub" / "renamed")
    os.utime(moved / "1.dcm", (1, 1))
    settings = SegmentSettings(device="cuda:3", precision="fp16")

    changed = replace(request_for, ct=moved, settings=settings, out=tmp_path / "b", overwrite=True)

    assert sha256(changed) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"series": "2"},
        {"writes_meshes": False},
        {"settings": SegmentSettings(bones="threshold")},
        {"settings": SegmentSettings(only=("sacrum",))},
        {"settings": SegmentSettings(numbering=PENGWIN_2024)},
        {"settings": SegmentSettings(keeps_maps=True)},
        {"settings": SegmentSettings(recovery=RecoveryConfig(mode="paper"))},
        {"other_inputs": ()},
    ],
)
def test_whatever_changes_the_result_changes_the_hash(
    request_for: CaseRequest, changes: dict[str, object]
) -> None:
    assert sha256(replace(request_for, **changes)) != sha256(request_for)


def test_other_weights_or_another_version_change_the_hash(
    request_for: CaseRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sha256(request_for)

    assert sha256(request_for, (Weights(name="one", sha256="1" * 64),)) != before
    monkeypatch.setattr(fingerprint, "__version__", "99.0.0")
    assert sha256(request_for) != before


def test_what_a_card_says_of_patients_does_not_change_the_hash(request_for: CaseRequest) -> None:
    told = (Weights(name="one", sha256="0" * 64, folds=("a",), trained_on=("b",)),)

    assert sha256(request_for, told) == sha256(request_for)


@pytest.mark.parametrize("name", ["sub/3.dcm", "1.dcm"])
def test_one_changed_byte_changes_the_hash_even_with_the_same_size_and_date(
    request_for: CaseRequest, name: str
) -> None:
    before = sha256(request_for)
    file = request_for.ct / name
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(b"x" + file.read_bytes()[1:])
    os.utime(file, ns=times)

    assert sha256(request_for) != before


def test_a_file_of_a_series_or_a_header_stands_for_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("a.mhd", "a.raw"):
        (tmp_path / name).write_bytes(name.encode())
    request = CaseRequest(ct=tmp_path / "a.mhd", out=tmp_path / "out")
    before = sha256(request)
    (tmp_path / "a.raw").write_bytes(b"other voxels")
    assert sha256(request) != before


def test_an_image_file_stands_for_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"a")
    request = CaseRequest(ct=tmp_path / "a.nii.gz", out=tmp_path / "out")
    before = sha256(request)
    (tmp_path / "b.nii.gz").write_bytes(b"b")
    assert sha256(request) == before


def test_reading_stops_when_the_run_is_cancelled(request_for: CaseRequest) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(RunCancelledError):
        request_sha256(request_for, WEIGHTS, token)
