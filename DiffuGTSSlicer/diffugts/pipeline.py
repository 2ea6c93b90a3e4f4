"""DiffuGTS as a diffusers pipeline: encode, attend, inpaint, refine.

    pipeline = DiffuGTSPipeline.from_pretrained("Resources/Models/compact")
    segmentation = pipeline(read_scan("scan.nrrd"), ["hypodense liver metastasis"])

or, step by step, keeping the scan for further descriptions:

    encoded = pipeline.encode(scan)
    attention = pipeline.attend(encoded, descriptions)
    healthy = pipeline.inpaint(encoded, pipeline.hole(encoded, mask))
    score_map = pipeline.refine(encoded, attention[0], healthy)

Load through this class: plain `DiffusionPipeline.from_pretrained` does not know it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline

from diffugts.appearance import AppearanceNetwork, appearance_logits
from diffugts.attention import AnomalyAttention, Queries
from diffugts.calibration import Calibration
from diffugts.described_search import refined, segment_described
from diffugts.descriptions.bank import EmbeddingBank
from diffugts.descriptions.description import Description
from diffugts.descriptions.encoder import TextEncoder
from diffugts.descriptions.reader import DescriptionReader
from diffugts.descriptions.templates import prompt_pair
from diffugts.encoded import EncodedScan
from diffugts.errors import ModelError, ScanError
from diffugts.findings.finding import ModelIdentity, Segmentation
from diffugts.findings.lesions import VerdictRule
from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser, modality_class
from diffugts.foundation.features import (
    Check,
    ScanFeatures,
    fast_arithmetic,
    padding_multiple,
)
from diffugts.foundation.noise_schedules import NoiseScheduler
from diffugts.foundation.tiled import TiledFoundation
from diffugts.inpainting import decoded_box, decoded_parts, hole_cells, inpaint, pasted
from diffugts.marked_region import segment_marked_region
from diffugts.preset import ModelPreset
from diffugts.protocol import ProgressCallback, Quality, Region, Stage
from diffugts.pseudo_healthy import PseudoHealthy, pseudo_healthy_scan
from diffugts.scans.interpolation import interpolated
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import ScanOnGrid, to_working_grid
from diffugts.stage_progress import StageProgress, timed
from diffugts.views import HALF, View

BANK_FILE = "embedding_bank.safetensors"
SAME_THRESHOLD = 1e-6
"""A threshold as near to the model's own is the same: a run that is made again is given the one it had."""

NO_ATTENTION = (
    "The model '{name}' has no trained attention, so it cannot search a scan for what words describe. Mark a region "
    "(a box around what you see, or a rough mask) to have it examined, train the attention on your own data "
    "(docs/training.md), or choose another model, such as 'compact'."
)


@dataclass(frozen=True)
class Attention:
    """What the attention says of one description: `score` float32 (k, j, i) at half the working grid's resolution, 0..1.

    The score is not scaled yet: `preset.calibration(quality).scaled` makes it what the preset's thresholds are of.
    """

    description: Description
    score: np.ndarray
    anomaly_score: float


class DiffuGTSPipeline(DiffusionPipeline):
    """The whole method. See the module's docstring for its use.

    Components: `autoencoder` and `denoiser` (frozen), `scheduler`, `attention` (trained; without it a model can only
    examine a region it is given), `inpainter` (optional: the denoiser trained further to fill holes; without it the denoiser
    fills them itself), `appearance` (optional: what the scan itself looks like, beside the attention), `text_encoder` and
    `tokenizer` (optional: without them the preset's own encoder is loaded when the embedding bank does not know a text).
    `low_memory` takes scans through the autoencoder in smaller tiles: slower, with the same result where it has no group
    normalisation and one close to it where it has.
    """

    _optional_components = ["attention", "inpainter", "appearance", "text_encoder", "tokenizer"]

    def __init__(
        self,
        autoencoder: ScanAutoencoder,
        denoiser: HoleDenoiser,
        scheduler: NoiseScheduler,
        attention: AnomalyAttention | None = None,
        text_encoder: Any = None,
        tokenizer: Any = None,
        preset: ModelPreset | None = None,
        bank: EmbeddingBank | None = None,
        inpainter: HoleDenoiser | None = None,
        appearance: AppearanceNetwork | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            autoencoder=autoencoder,
            denoiser=denoiser,
            scheduler=scheduler,
            attention=attention,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            inpainter=inpainter,
            appearance=appearance,
        )
        for module in (autoencoder, denoiser, attention, inpainter, appearance):
            if module is not None:
                module.eval().requires_grad_(False)
        self.preset = preset or ModelPreset("unnamed", "A model without preset.json")
        self.identity = ModelIdentity(self.preset.name, "", "")
        self.low_memory = False
        encoder = TextEncoder(text_encoder, tokenizer) if text_encoder is not None else None
        self.reader = DescriptionReader(bank, self.preset.text_encoder, encoder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> DiffuGTSPipeline:
        """Load a model folder. Raises ModelError or what diffusers raises; `models.load_pipeline` puts these into words."""
        from diffugts.models import weights_sha256

        folder = Path(folder)
        preset = ModelPreset.load(folder)
        bank = EmbeddingBank.load(folder / BANK_FILE) if (folder / BANK_FILE).is_file() else None
        pipeline = super().from_pretrained(str(folder), preset=preset, bank=bank, **options)
        pipeline.identity = ModelIdentity(preset.name, str(folder), weights_sha256(folder))
        return pipeline

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write the model folder: diffusers' layout, the preset and the embedding bank."""
        super().save_pretrained(str(folder), safe_serialization=True, **options)
        self.preset.save(Path(folder))
        if self.reader.bank is not None:
            self.reader.bank.save(Path(folder) / BANK_FILE)

    # -- the four stages ---------------------------------------------------------------------------------------------

    def encode(self, scan: Scan, progress: ProgressCallback | None = None, views: Collection[View] = ()) -> EncodedScan:
        """Bring a scan to the working grid and through the frozen foundation; once per scan, and once for each further view.

        A model without a trained attention only brings it to the grid. Raises ScanError for geometry or content the method
        cannot work on, and for a modality the model does not know.
        """
        if scan.modality not in self.preset.modalities:
            known = " and ".join(self.preset.modalities)
            raise ScanError(
                f"The scan is {scan.modality}, and the model '{self.preset.name}' knows only {known}. Choose another model."
            )
        grid = to_working_grid(scan, self.preset.spacing_mm, self.preset.ct_curve, self.preset.mr_range)
        if self.attention is None:
            nothing = torch.empty((1, self.autoencoder.config["latent_channels"], 0, 0, 0))
            unseen: dict[View, Queries] = {view: {} for view in views}
            return EncodedScan(scan, grid, modality_class(scan.modality, scan.sequence), nothing, {}, unseen)
        return self.encode_grid(scan, grid, grid.intensities, progress, views)

    def encode_grid(
        self,
        scan: Scan,
        grid: ScanOnGrid,
        intensities: np.ndarray,
        progress: ProgressCallback | None = None,
        views: Collection[View] = (),
    ) -> EncodedScan:
        """As `encode`, for intensities (k, j, i) that are already on the scan's working grid."""
        grid = replace(grid, intensities=intensities)
        number = modality_class(scan.modality, scan.sequence)
        check = StageProgress(progress, Stage.ENCODING, self.layers() * (1 + len(views)))
        features, notes = self.foundation.features(intensities, number, check)
        queries = self._queries(features)
        further = {}
        for view in views:
            seen, _ = self.foundation.features(view.seen(intensities, padding_multiple(self.denoiser)), number, check)
            further[view] = self._queries(seen)
        return EncodedScan(scan, grid, number, features.latents, queries, further, notes)

    def encode_latents(
        self, scan: EncodedScan, part: ScanOnGrid, progress: ProgressCallback | None = None
    ) -> EncodedScan:
        """The latents alone of a part of a scan's working grid: what inpainting needs."""
        check = StageProgress(progress, Stage.ENCODING, self.layers(self.autoencoder.network.encoder))
        latents, notes = self.foundation.latents(part.intensities, check)
        return replace(scan, grid=part, latents=latents, queries={}, further={}, notes=notes, appearance={})

    def attend(
        self,
        encoded: EncodedScan,
        descriptions: Sequence[str | Description],
        progress: ProgressCallback | None = None,
    ) -> list[Attention]:
        """The attention to each description. Raises DescriptionError where a text needs an encoder that is not there."""
        parsed = self.understand(descriptions)
        results = []
        for number, description in enumerate(parsed):
            if progress:
                progress(Stage.ATTENDING, number, len(parsed))
            results.append(self.attend_one(encoded, description))
        if progress:
            progress(Stage.ATTENDING, len(parsed), len(parsed))
        return results

    def attend_one(self, encoded: EncodedScan, description: Description, check: Check | None = None) -> Attention:
        """The attention to one description that `understand` has read: the mean of all that was seen of the scan, and how
        what is suspected looks, where the model has a network for it. `check` may raise Cancelled."""
        grid = encoded.grid
        logits, presence = self._logits(encoded.queries, description, grid.modality, grid.sequence)
        size = logits.shape
        for view, queries in encoded.further.items():
            seen, presence_seen = self._logits(queries, description, grid.modality, grid.sequence)
            logits, presence = logits + view.brought_back(seen, size), presence + presence_seen
        looks = 1 + len(encoded.further)
        logits, presence = logits / looks, presence / looks
        fusion = self.preset.appearance
        if self.appearance is not None and fusion.weight:
            looks_like = appearance_logits(
                self.appearance, grid.intensities, grid.modality, fusion.spoken(logits), encoded.appearance, check
            )
            logits = fusion.fused(logits, looks_like, encoded.score_geometry.voxel_ml)
        return Attention(description, torch.sigmoid(logits).numpy(), float(torch.sigmoid(presence)))

    def hole(self, encoded: EncodedScan, mask: np.ndarray) -> np.ndarray:
        """The hole, in latent cells, for a mask (k, j, i) of the working grid."""
        return hole_cells(mask, encoded.latents.shape[2:], self.preset.dilation_cells, encoded.body)

    def inpaint(
        self,
        encoded: EncodedScan,
        hole: np.ndarray,
        steps: int = 4,
        seeds: Sequence[int] = (0,),
        progress: ProgressCallback | None = None,
        painted: np.ndarray | None = None,
        healthy: np.ndarray | None = None,
        compare: bool = True,
    ) -> PseudoHealthy:
        """The pseudo-healthy scan for a hole in latent cells; with several seeds the median of their decodings.

        `painted`, bool (k, j, i) on the working grid, is where it replaces the scan; without it, in the whole hole. What
        is painted takes its level from the rest of the hole where that is `healthy`, bool alike; without it, all of that.
        `compare` decodes the scan itself as well, for the residuals.
        """
        # Where the decoder normalises over what it is given, less of it would be another result.
        exact = self.autoencoder.config["normalisation"] == "none"
        parts = decoded_parts(hole, self.autoencoder.decoder_reach) if exact else [decoded_box(hole)]
        decodings = self.layers(self.autoencoder.network.decoder) * (len(seeds) + compare) * len(parts)
        check = StageProgress(progress, Stage.INPAINTING, self.layers(self.painter) * (steps + 1) + decodings)
        result = inpaint(
            self.painter,
            self.scheduler,
            encoded.latents,
            hole,
            encoded.modality_class,
            steps,
            self.preset.start_sigma,
            seeds,
            check,
            self.crop_cells,
        )
        box, decode = decoded_box(hole), self.foundation.decoded_in_parts
        before = decode(encoded.latents, box, parts, check) if compare else None
        filled = [decode(pasted(encoded.latents, result, n), box, parts, check) for n in range(len(seeds))]
        return pseudo_healthy_scan(encoded, hole, result, before, np.median(filled, axis=0), painted, healthy)

    def refine(
        self,
        encoded: EncodedScan,
        attention: Attention,
        healthy: PseudoHealthy,
        quality: str | Quality = Quality.STANDARD,
        threshold: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> np.ndarray:
        """The scaled score map (k, j, i) of a description on the scan's own grid, refined by the preset's fusion weights.

        `quality` says how scores are scaled; regions are rejected at `threshold`, by default the quality level's own. Weights
        that pass the attention through give its own map.
        """
        calibration = self.preset.calibration(Quality(quality).value)
        score = calibration.scaled(self.score_map(encoded, attention.score))
        weights = self.preset.refinement
        if not weights.changes_mask:
            return score
        check = StageProgress(progress, Stage.REFINING, self.layers() if weights.feature else 1, done=-1)
        cut = calibration.threshold if threshold is None else threshold
        return refined(self, encoded, attention, healthy, score, calibration, cut, check)

    def feature_residual(
        self, encoded: EncodedScan, healthy: PseudoHealthy, description: Description, check: Check | None = None
    ) -> np.ndarray:
        """R_f (k, j, i) at half the working grid's resolution: the attention's logit before and after, where it differs."""
        grid = encoded.grid
        features, _ = self.foundation.features(healthy.intensities, encoded.modality_class, check)
        after = self._logits(self._queries(features), description, grid.modality, grid.sequence)[0]
        before = self._logits(encoded.queries, description, grid.modality, grid.sequence)[0]
        return (before - after).numpy()

    # -- all of it ---------------------------------------------------------------------------------------------------

    def __call__(  # type: ignore[override]
        self,
        scan: Scan | EncodedScan,
        descriptions: Sequence[str],
        quality: str | Quality = Quality.STANDARD,
        region: Region | np.ndarray | None = None,
        threshold: float | None = None,
        smallest_lesion_ml: float = 0.1,
        seed: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Segmentation:
        """Segment what the descriptions say in a scan, or in one that was encoded before.

        `region` limits findings, and what is painted, to a box in RAS mm or to a mask, bool (k, j, i) on the scan's own grid;
        the whole scan is encoded all the same. `threshold`, of the scaled score, overrides the quality level's own; `seed` is
        the first of the inpainting's seeds. Results lie on the scan's own grid. The same arguments give the same results.

        A description is finished when nothing that comes later can change its finding. Where `progress` raises Cancelled,
        what is finished is returned, marked as cancelled; before the first description is finished, Cancelled is raised.
        """
        level = self.preset.qualities[Quality(quality).value]
        timings: dict[str, float] = {}
        if isinstance(scan, Scan):
            with timed(timings, "encode_s"):
                scan = self.encode(scan, progress, level.views)
                if self.device.type == "cuda":  # or the next stage's seconds would hold what is left of this one
                    torch.cuda.synchronize(self.device)
        rule = self.rule(self.preset.calibration(Quality(quality).value), threshold)
        if self.attention is not None:
            return segment_described(
                self, scan, descriptions, region, Quality(quality), rule, smallest_lesion_ml, seed, progress, timings
            )
        if region is None:
            raise ModelError(NO_ATTENTION.format(name=self.preset.name))
        return segment_marked_region(
            self, scan, descriptions, region, Quality(quality), rule, smallest_lesion_ml, seed, progress
        )

    def understand(self, descriptions: Sequence[str | Description]) -> list[Description]:
        """Descriptions as this model's vocabulary and text encoder read them; those already read pass through."""
        return self.reader.read(descriptions)

    def on_working_grid(self, encoded: EncodedScan, score: np.ndarray) -> np.ndarray:
        """A map (k, j, i) at half the working grid's resolution, interpolated onto the working grid."""
        tensor = torch.from_numpy(np.ascontiguousarray(score, np.float32))[None, None]
        full = torch.nn.functional.interpolate(tensor, scale_factor=HALF, mode="trilinear")[0, 0].numpy()
        k, j, i = encoded.grid.geometry.shape
        return full[:k, :j, :i]

    def score_map(self, encoded: EncodedScan, score: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """A score at half resolution as a map (k, j, i) on the scan's own grid, unscaled, 0 outside the allowed region."""
        whole = interpolated(score, encoded.score_geometry, encoded.scan.geometry)
        return whole if allowed is None else np.where(allowed, whole, np.float32(0))

    def layers(self, *modules: torch.nn.Module) -> int:
        """Steps that a pass through the foundation, or through `modules`, reports: its convolutions."""
        chosen = modules or (self.autoencoder.network.encoder, self.denoiser)
        return sum(isinstance(layer, torch.nn.Conv3d) for module in chosen for layer in module.modules())

    @property
    def crop_cells(self) -> int:
        """Latent cells the denoiser sees at least along each axis, on this device."""
        return self.preset.crop_cells_on_cpu if self.device.type == "cpu" else self.preset.crop_cells

    @property
    def painter(self) -> HoleDenoiser:
        """What fills holes: the inpainter, or the denoiser where the model has none."""
        return self.inpainter or self.denoiser

    @property
    def foundation(self) -> TiledFoundation:
        """Autoencoder and denoiser, in tiles that fit."""
        return TiledFoundation(self.autoencoder, self.denoiser, self.low_memory)

    # -- inside ------------------------------------------------------------------------------------------------------

    def rule(self, calibration: Calibration, threshold: float | None = None) -> VerdictRule:
        """When something counts as found, at the calibration's own threshold or another."""
        own = threshold is None or abs(threshold - calibration.threshold) < SAME_THRESHOLD
        return VerdictRule(
            calibration.threshold if threshold is None else threshold,
            self.preset.uncertain_margin,
            calibration.least_anomaly_score,
            calibration.uncertain_range,
            # Whoever asks for another threshold wants to see all that lies above it.
            certain_alone=own and calibration.uncertain_range is not None,
        )

    @property
    def _heads(self) -> AnomalyAttention:
        """The attention. Raises ModelError where the model has none."""
        if self.attention is None:
            raise ModelError(NO_ATTENTION.format(name=self.preset.name))
        return self.attention

    def _queries(self, features: ScanFeatures) -> Queries:
        with torch.no_grad(), fast_arithmetic(self.device):
            queries = self._heads.query(features.levels)
        return {stride: query.half() for stride, query in queries.items()}

    @torch.no_grad()
    def _logits(
        self, queries: Queries, description: Description, modality: str, sequence: str | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (k, j, i) at half resolution and the presence logit of one description."""
        pair = prompt_pair(description, modality, sequence)
        embeddings = self.reader.embed([pair.normal, pair.abnormal]).to(self.device)
        maps = self._heads.attend(queries, embeddings[:1], embeddings[1:])
        return maps.logits[0, 0].float().cpu(), maps.presence[0].float().cpu()
