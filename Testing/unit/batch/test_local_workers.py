"""How a machine is divided among workers."""

from __future__ import annotations

import pytest

from FractureSegmentationLib.batch.local_workers import WorkerPlan, plan_workers

GIB = 1024**3


@pytest.mark.parametrize(
    ("wanted", "cores", "memory_gib", "gpus", "count", "threads"),
    [
        (None, 32, 256, (), 8, 4),
        (None, 32, 20, (), 3, 10),  # 20 GiB hold three cases of 6 GiB
        (None, 2, 4, (), 1, 2),
        (None, 32, 256, ("0", "1"), 2, 16),
        (3, 8, 64, (), 3, 2),
        (8, 4, 64, (), 8, 1),
        (3, 8, 64, ("0", "1"), 3, 2),
    ],
)
def test_one_worker_per_gpu_or_per_group_of_cores_as_far_as_memory_goes(
    wanted: int | None,
    cores: int,
    memory_gib: int,
    gpus: tuple[str, ...],
    count: int,
    threads: int,
) -> None:
    plan = plan_workers(wanted, cores=cores, memory_bytes=memory_gib * GIB, gpus=gpus)

    assert plan == WorkerPlan(count=count, threads=threads, gpus=gpus)


def test_each_worker_sees_one_gpu_and_its_share_of_the_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    plan = WorkerPlan(count=3, threads=5, gpus=("4", "GPU-abc"))

    seen = [plan.environment(number) for number in range(3)]

    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["4", "GPU-abc", "4"]
    assert {one["OMP_NUM_THREADS"] for one in seen} == {"5"}


def test_on_the_processor_no_gpu_is_hidden_and_the_users_threads_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    seen = WorkerPlan(count=1, threads=4).environment(0)

    assert "CUDA_VISIBLE_DEVICES" not in seen
    assert seen["OMP_NUM_THREADS"] == "7"


def test_a_plan_without_workers_is_a_bug() -> None:
    with pytest.raises(ValueError, match="need a worker"):
        WorkerPlan(count=0, threads=1)
