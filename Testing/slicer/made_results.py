"""A result folder as the engine would write it, with known content, for tests and for the fake worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nrrd_files import write_nrrd

from diffugts.protocol import FileRecord, FindingRecord, Grid, LesionRecord, Provenance, ResultManifest, sha256_of
from diffugts.protocol.manifest import CANCELLED, DONE
from diffugts.protocol.request import Region

THRESHOLD = 0.5
COLOURS = ((0.933, 0.400, 0.467), (0.267, 0.467, 0.667), (0.133, 0.533, 0.200))


def made_scores(shape: tuple[int, int, int], number: int) -> np.ndarray:
    """Two lesions for finding 0, one overlapping the first for 1, nothing above the threshold for every third."""
    scores = np.zeros(shape, np.float32)
    k, j, i = shape
    if number % 3 == 2:
        scores[k // 2, j // 2, i // 2] = 0.31
        return scores
    scores[k // 4 : k // 2, j // 4 : j // 2, i // 4 : i // 2] = 0.7
    scores[k // 3, j // 3, i // 3] = 0.9
    if number % 3 == 0:
        scores[-k // 4 :, -j // 4 :, -i // 4 :] = 0.6
    return scores


def write_result(
    folder: Path,
    shape: tuple[int, int, int],
    ijk_to_lps: np.ndarray,
    descriptions: tuple[str, ...],
    region: Region | None = None,
    pseudo_healthy: bool = True,
    stated_lps: np.ndarray | None = None,
    finished: int | None = None,
    model: str = "compact",
) -> ResultManifest:
    """Write a whole result of known content; `stated_lps` is the matrix that the manifest claims, where it differs.

    With `finished` it is what a cancelled job leaves: that many of the descriptions, and nothing painted.
    """
    folder.mkdir(parents=True)
    asked, descriptions = descriptions, descriptions[:finished]
    pseudo_healthy = pseudo_healthy and finished is None
    voxel_ml = float(np.prod(np.linalg.norm(ijk_to_lps[:3, :3], axis=0))) / 1000
    files: list[FileRecord] = []
    findings: list[FindingRecord] = []
    layers = []

    def note(role: str, name: str, number: int | None = None) -> None:
        path = folder / name
        files.append(FileRecord(role, name, path.stat().st_size, sha256_of(path), number))

    header = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_ConversionParameters": "",
    }
    for number, description in enumerate(descriptions):
        scores = made_scores(shape, number)
        mask = scores > THRESHOLD
        layers.append(mask.astype(np.uint8))
        write_nrrd(folder / f"{number + 1:02d}-score.nrrd", scores, ijk_to_lps)
        note("score map", f"{number + 1:02d}-score.nrrd", number)
        colour = COLOURS[number % 3]
        facts = {
            "ID": f"finding_{number + 1}",
            "Name": " ".join(description.split())[:400],
            "Color": " ".join(f"{c:.6f}" for c in colour),
            "Layer": str(number),
            "LabelValue": "1",
            "Extent": f"0 {shape[2] - 1} 0 {shape[1] - 1} 0 {shape[0] - 1}",
        }
        header |= {f"Segment{number}_{key}": value for key, value in facts.items()}
        found = bool(mask.any())
        lesions = tuple(
            LesionRecord(label, 1.0, 9.0, (0.0, 0.0, 0.0), 40.0, 0.7, float(scores.max()))
            for label in range(1, (2 - number % 3) + 1)
        )
        findings.append(
            FindingRecord(
                description,
                "found" if found else "not found",
                float(scores.max()),
                0.8 if found else 0.1,
                THRESHOLD,
                int(mask.sum()) * voxel_ml,
                lesions,
                () if found else (f"Nothing above 0.50 for '{description}'; highest score 0.31.",),
                f"finding_{number + 1}",
                colour,
            )
        )
    write_nrrd(
        folder / "segmentation.seg.nrrd",
        np.stack(layers, -1) if len(layers) > 1 else layers[0],
        ijk_to_lps,
        header,
    )
    note("segmentation", "segmentation.seg.nrrd")
    if pseudo_healthy:
        healthy = np.full(shape, 40, np.float32)
        residual = np.linspace(-50, 100, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        for role, array in (("pseudo-healthy", healthy), ("residual", residual)):
            write_nrrd(folder / f"{role}.nrrd", array, ijk_to_lps)
            note(role, f"{role}.nrrd")
    stated = ijk_to_lps if stated_lps is None else stated_lps
    spacing = np.linalg.norm(stated[:3, :3], axis=0)
    provenance = Provenance(
        program_version="0.1.0",
        descriptions=asked,
        model=model,
        weights_sha256="ab" * 32,
        quality="standard",
        thresholds=tuple(THRESHOLD for _ in descriptions),
        smallest_lesion_ml=0.0,
        region=region,
        modality="CT",
        sequence=None,
        seed=7,
        device="cpu",
        timings_s={"encode_s": 4.2, "write_s": 0.5},
        versions={"python": "3.11.7", "torch": "2.13.0"},
        created_utc="2026-11-24T03:00:00+00:00",
    )
    manifest = ResultManifest(
        findings=tuple(findings),
        files=tuple(files),
        provenance=provenance,
        geometry=Grid(
            (shape[2], shape[1], shape[0]),
            tuple(float(x) for x in spacing),
            tuple(float(x) for x in stated[:3, 3]),
            tuple(float(x) for x in (stated[:3, :3] / spacing).ravel()),
        ),
        notes=("Made by the fake worker.",),
        status=DONE if finished is None else CANCELLED,
        unfinished=asked[len(descriptions) :],
        folder=folder,
    )
    manifest.write(folder)
    return manifest
