"""Small cases with known truth for the training tests."""

from __future__ import annotations

import numpy as np

from fracseg_training.data.cases import Case, CaseInfo, make_case


def a_case(
    *, fragments: int = 2, patient: str = "one", name: str = "case", is_simulated: bool = False
) -> Case:
    """A 24 x 20 x 16 mm block of bone, cut across k into `fragments` equal pieces that touch."""
    labels = np.zeros((28, 24, 20), np.uint8)
    edges = np.linspace(2, 26, fragments + 1).astype(int)
    for index in range(fragments):
        labels[edges[index] : edges[index + 1], 2:22, 2:18] = index + 1
    hu = np.where(labels > 0, 300, 0).astype(np.int16)
    info = CaseInfo(
        name=f"{name}_{patient}_{fragments}",
        patient=patient,
        bone="left_hip",
        source="real",
        is_simulated=is_simulated,
        spacing_mm=(1.0, 1.0, 1.0),
    )
    return make_case(info, hu, labels)
