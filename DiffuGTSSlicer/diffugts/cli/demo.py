"""`diffugts demo`: the whole way on a generated scan whose lesion is known, or on the user's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from diffugts.cli.segment import DeviceOption, Modality, ModelOption, QualityOption
from diffugts.protocol import Quality

SCAN_NAME = "generated-scan.nrrd"
TRUTH_NAME = "generated-lesion.nrrd"

STAGES = {
    "load_s": "loading the model",
    "encode_s": "encoding",
    "attend_s": "attention",
    "inpaint_s": "painting",
    "write_s": "writing",
}
"""The result's timings that are told, in words; the others are short."""


class Body(str, Enum):
    """Bodies that can be generated."""

    THIGH = "thigh"
    ABDOMEN = "abdomen"
    THORAX = "thorax"
    HEAD = "head"


def demo(
    scan: Annotated[Path | None, typer.Option(help="Your own scan; one is generated where none is given.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="What to look for; needed with your own scan.")] = None,
    modality: Annotated[Modality | None, typer.Option(help="Of your own scan, where the file does not say it.")] = None,
    body: Annotated[Body, typer.Option(help="Which body to generate.")] = Body.THIGH,
    seed: Annotated[int, typer.Option(min=0, help="Of the generated scan and of the inpainting.")] = 0,
    quality: QualityOption = Quality.STANDARD,
    device: DeviceOption = "auto",
    model: ModelOption = "compact",
    output: Annotated[Path, typer.Option(help="Folder for scan and result; an earlier result is replaced.")] = Path(
        "demo-output"
    ),
) -> None:
    """Segment a generated scan, or your own: findings table, files, a picture, and how long it took."""
    began = time.perf_counter()
    from diffugts.cli.display import shown
    from diffugts.cli.segment import carry_out
    from diffugts.errors import RequestError
    from diffugts.protocol import Request

    if scan is not None and not prompt:
        raise RequestError('Say what to look for in the scan: --prompt "liver tumour".')
    with shown(as_json=False) as display:
        truth = None
        if scan is None:
            scan, truth, words = generate(output, body.value, seed)
            prompt = prompt or [words]
        request = Request(
            scan=str(scan),
            descriptions=tuple(prompt or ()),
            output=str(output / "result"),
            model=model,
            quality=quality,
            device=device,
            modality=modality.value if modality else None,
            seed=seed,
        )
        manifest = carry_out(request, display, picture=True)
        display.done(manifest)
    for record in manifest.files:
        if record.role == "picture":
            typer.echo(f"Picture: {manifest.folder / record.name}")
    if truth is not None:
        found = manifest.file("segmentation")
        assert found is not None, "a result in NRRD has a segmentation"
        typer.echo(f"Overlap of all findings with the lesion that was generated (Dice): {overlap(found, truth):.2f}")
    typer.echo(time_taken(time.perf_counter() - began, manifest.provenance.timings_s))


def generate(folder: Path, body: str, seed: int) -> tuple[Path, Path, str]:
    """Write a generated scan and its lesion's mask into `folder`; returns both paths and words for the lesion."""
    import numpy as np
    import SimpleITK as sitk

    from diffugts.generated.phantom import demo_case

    generated, mask, words = demo_case(seed, body)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    image = generated.geometry.image(generated.voxels)
    image.SetMetaData("modality", generated.modality)
    if generated.sequence:
        image.SetMetaData("sequence", generated.sequence)
    sitk.WriteImage(image, str(folder / SCAN_NAME))
    sitk.WriteImage(generated.geometry.image(mask.astype(np.uint8)), str(folder / TRUTH_NAME), useCompression=True)
    return folder / SCAN_NAME, folder / TRUTH_NAME, words


def time_taken(seconds: float, timings_s: Mapping[str, float]) -> str:
    """How long everything took, and the stages that `timings_s` (seconds) knows of it."""
    parts = [f"{words} {timings_s[name]:.1f} s" for name, words in STAGES.items() if name in timings_s]
    return f"Took {seconds:.1f} s in all" + (f", of it {', '.join(parts)}." if parts else ".")


def overlap(segmentation: Path, truth: Path) -> float:
    """Dice coefficient of everything that was segmented with the true mask; 1 where both are empty."""
    import numpy as np
    import SimpleITK as sitk

    found, true = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0 for path in (segmentation, truth))
    found = found.any(axis=-1) if found.ndim == 4 else found
    both = int(np.count_nonzero(found)) + int(np.count_nonzero(true))
    return 2 * int(np.count_nonzero(found & true)) / both if both else 1.0
