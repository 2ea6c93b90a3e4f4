"""`diffugts segment` and `diffugts run`: one scan, from options or from a request file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffugts import interrupts
from diffugts.cli.dicom import SeriesOption, print_written, require_dicom_possible
from diffugts.protocol import Quality, Region, Request, ResultManifest

if TYPE_CHECKING:
    from diffugts.cli.display import Display
    from diffugts.worker.kept_features import KeptFeatures

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines (progress, done, failed) and nothing else.")]
Picture = Annotated[bool, typer.Option(help="Draw a picture of each finding: outline, heat map, pseudo-healthy scan.")]
QualityOption = Annotated[
    Quality,
    typer.Option(
        help="fast: one look, nothing painted; standard: two looks; thorough: the pseudo-healthy scan from several seeds."
    ),
]
ModelOption = Annotated[str, typer.Option(help="A shipped model's name, or a model folder.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
KeepFeatures = Annotated[
    Path | None,
    typer.Option(
        help="Keep what was computed of each scan in this folder of your own, so that the same scan is not encoded again. It "
        "shows the scans (docs/models.md)."
    ),
]
KeepFeaturesGb = Annotated[
    float, typer.Option(min=0.0, help="Most gigabytes in that folder; what was unused for longest is removed.")
]
Output = Annotated[Path, typer.Option(help="Folder for the result; an earlier result in it is replaced.")]


class Modality(str, Enum):
    """Kinds of scan."""

    CT = "CT"
    MR = "MR"


class ImageFormat(str, Enum):
    """File formats of the result."""

    NRRD = "nrrd"
    NIFTI = "nifti"


def segment(
    scan: Annotated[Path, typer.Argument(help="NRRD, NIfTI or MetaImage file, or a folder with a DICOM series.")],
    prompt: Annotated[list[str], typer.Option(help="What to look for, in your own words; may be given several times.")],
    output: Output,
    roi: Annotated[
        str | None, typer.Option(metavar="x0,y0,z0,x1,y1,z1", help="Look only within this box: two corners, RAS, mm.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Look only where this label map is not 0: an image on the scan's own grid. With --roi: inside both."
        ),
    ] = None,
    quality: QualityOption = Quality.STANDARD,
    modality: Annotated[Modality | None, typer.Option(help="Where the file does not say it.")] = None,
    sequence: Annotated[
        str | None, typer.Option(help="MR: T1, T1c, T2, FLAIR or PD, where the file does not say it.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score above which a voxel counts; 0 to 1. [default: the model's]")
    ] = None,
    smallest_lesion_ml: Annotated[float, typer.Option(help="Smaller regions are left out.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of the inpainting; the same seed gives the same result.")] = 0,
    device: DeviceOption = "auto",
    model: ModelOption = "compact",
    image_format: Annotated[
        ImageFormat, typer.Option("--format", "--image-format", help="Of the result's volumes.")
    ] = ImageFormat.NRRD,
    picture: Picture = True,
    keep_features: KeepFeatures = None,
    keep_features_gb: KeepFeaturesGb = 20.0,
    series: SeriesOption = None,
    dicom: Annotated[
        Path | None, typer.Option(help="Also write the result as DICOM, into this new folder (docs/dicom.md).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Segment what is described in one scan."""
    from diffugts.cli.display import shown

    with shown(as_json) as display:
        if dicom is not None:
            require_dicom_possible(scan, series, dicom, output)
        request = Request(
            scan=str(scan),
            descriptions=tuple(prompt),
            output=str(output),
            model=model,
            quality=quality,
            device=device,
            modality=modality.value if modality else None,
            sequence=sequence,
            region=Region.from_text(roi, "--roi") if roi is not None else None,
            threshold=threshold,
            smallest_lesion_ml=smallest_lesion_ml,
            seed=seed,
            image_format=image_format.value,
            series=series,
            mask=str(mask) if mask is not None else None,
        )
        manifest = carry_out(request, display, picture, kept_features(keep_features, keep_features_gb))
        display.done(manifest)  # the result is whole, whatever becomes of the DICOM files
        if dicom is not None:
            from diffugts.dicom.export import export_result

            written = export_result(manifest.folder, scan, dicom, series)
            if not as_json:
                print_written(written)


def run(
    request: Annotated[Path, typer.Argument(help="Request file; relative paths in it are taken from its folder.")],
    picture: Picture = True,
    keep_features: KeepFeatures = None,
    keep_features_gb: KeepFeaturesGb = 20.0,
    as_json: AsJson = False,
) -> None:
    """Carry out a request file, as the background process of 3D Slicer does."""
    from diffugts.cli.display import shown

    with shown(as_json) as display:
        kept = kept_features(keep_features, keep_features_gb)
        display.done(carry_out(Request.load(request), display, picture, kept))


def kept_features(folder: Path | None, most_gb: float) -> KeptFeatures | None:
    """The folder that features are kept in, where one is asked for. Raises RequestError where it cannot be used."""
    from diffugts.worker.kept_features import KeptFeatures

    return KeptFeatures(folder, int(most_gb * 1e9)) if folder is not None else None


def carry_out(request: Request, display: Display, picture: bool, kept: KeptFeatures | None = None) -> ResultManifest:
    """Run one request in this process, with its progress on a display."""
    from diffugts.worker.job import run_request
    from diffugts.worker.progress import Progress, ProgressTracker
    from diffugts.worker.shelf import ModelShelf

    def report(progress: Progress) -> None:
        interrupts.heed()
        display.progress(progress)

    tracker = ProgressTracker(request.quality, report, descriptions=len(request.descriptions))
    return run_request(request, ModelShelf(kept=kept), tracker, picture)
