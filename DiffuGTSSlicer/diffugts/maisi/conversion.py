"""NVIDIA's two files made into a model folder of this program."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from diffugts.errors import ModelError
from diffugts.maisi.assembly import assembled, empty_foundation
from diffugts.maisi.checkpoints import Checkpoint, load_strictly, read_checkpoint
from diffugts.maisi.published import PublishedFile, PublishedModel

CARD = "model_card.md"

WITHOUT_ATTENTION = """\
It has no trained attention: it cannot search a scan for what words describe. Given a region it paints healthy tissue
there and shows the difference; how well was not measured. `diffugts train attention` makes an attention from your data.
"""


def convert(folder: Path, model: PublishedModel, output: Path, allow_extra: bool = False) -> Path:
    """Convert the files in `folder` (or in its `models`, as NVIDIA lays them out) into the model folder `output`.

    Weights are stored as safetensors in single precision. The scale factor, which NVIDIA keeps in the denoiser's file,
    becomes the autoencoder's latent spread. `output` appears only once it is whole. Raises ModelError where a file is
    missing, damaged or of another network, and where `output` holds something already.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ModelError(f"'{output}' exists already and is not empty. Choose another folder, or remove it first.")
    of_autoencoder = read_checkpoint(_find(folder, model.autoencoder_file))
    of_denoiser = read_checkpoint(_find(folder, model.denoiser_file))
    if of_denoiser.scale_factor is None:
        raise ModelError(f"'{of_denoiser.path}' lacks 'scale_factor', without which its latents have no unit.")
    autoencoder, denoiser = empty_foundation(model)
    extra = load_strictly(autoencoder.network, of_autoencoder, allow_extra)
    extra += load_strictly(denoiser.network, of_denoiser, allow_extra)
    autoencoder.latent_std.copy_(torch.full_like(autoencoder.latent_std, 1 / of_denoiser.scale_factor))
    random_weights = of_autoencoder.random_weights or of_denoiser.random_weights
    pipeline = assembled(model, autoencoder, denoiser, random_weights)
    unfinished = output.with_name(output.name + ".unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    try:
        pipeline.save_pretrained(unfinished)
        card = model_card(model, (of_autoencoder, of_denoiser), extra, random_weights)
        (unfinished / CARD).write_text(card, encoding="utf-8")
        if output.exists():
            output.rmdir()
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return output


def model_card(
    model: PublishedModel, files: tuple[Checkpoint, Checkpoint], extra: tuple[str, ...], random_weights: bool
) -> str:
    """The card of a converted model: where it comes from, its licence, what it can and cannot do."""
    rows = "\n".join(
        f"| `{published.path}` | {HOST_OF.format(published.repository)} | `{file.sha256}` |"
        for published, file in zip(model.files, files)
    )
    warning = "\n**Random weights.** This model was made for tests; it knows nothing.\n" if random_weights else ""
    passed_over = f"\nWeights of the files that had no place and were left out: {', '.join(extra)}.\n" if extra else ""
    return f"""# {model.preset.name}

{model.preset.title}. Research use only, not a medical device.
{warning}
Weights: {model.licence.name}, {model.licence.url}
{model.licence.allows}

| file | from | SHA-256 |
|---|---|---|
{rows}
{passed_over}
## What it is, and is not

{model.training} It may therefore paint a tumour again where healthy tissue is asked for.

{WITHOUT_ATTENTION}"""


HOST_OF = "huggingface.co/{}"


def _find(folder: Path, file: PublishedFile) -> Path:
    """Where a published file lies in a folder. Raises ModelError naming what was looked for."""
    for path in (folder / file.path, folder / file.name):
        if path.is_file():
            return path
    raise ModelError(
        f"'{folder}' holds neither '{file.path}' nor '{file.name}'. It comes from {HOST_OF.format(file.repository)}; "
        "`diffugts models fetch` downloads it."
    )
