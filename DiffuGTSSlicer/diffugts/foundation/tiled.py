"""The foundation behind tiles that fit into memory: what a pipeline asks of it, and a sentence where memory was short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.decoding import decode_box
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.foundation.features import Check, ScanFeatures, read_features, read_latents
from diffugts.foundation.memory import free_memory, in_tiles_that_fit, tile_voxels

UNLIMITED = 1 << 60
"""Bytes no machine has."""


class TiledFoundation:
    """Autoencoder and denoiser on their device, in tiles chosen from what memory there is and halved where it runs out.

    `low_memory` takes small tiles from the start. Notes that come back are sentences for the user.
    """

    def __init__(self, autoencoder: ScanAutoencoder, denoiser: HoleDenoiser, low_memory: bool = False) -> None:
        self.autoencoder = autoencoder
        self.denoiser = denoiser
        self.low_memory = low_memory

    def features(
        self, intensities: np.ndarray, modality_class: int, check: Check | None = None
    ) -> tuple[ScanFeatures, tuple[str, ...]]:
        """Features of a scan, `intensities` (k, j, i) of the working grid, and notes."""
        chosen = self._voxels(free_memory(self._device))
        features, used = in_tiles_that_fit(
            lambda most: read_features(self.autoencoder, self.denoiser, intensities, modality_class, most, check),
            chosen,
        )
        return features, self._notes(intensities, chosen, used)

    def latents(self, intensities: np.ndarray, check: Check | None = None) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Latents alone (1, 4, k, j, i) of a scan's intensities, and notes."""
        chosen = self._voxels(free_memory(self._device))
        latents, used = in_tiles_that_fit(
            lambda most: read_latents(self.autoencoder, self.denoiser, intensities, most, check), chosen
        )
        return latents, self._notes(intensities, chosen, used)

    def decoded(self, latents: torch.Tensor, box: tuple[slice, slice, slice], check: Check | None = None) -> np.ndarray:
        """Model intensities (k, j, i) of a box of latent cells.

        A box is decoded in one part where its halo allows: cut up, most of the arithmetic would go into halos. So its tiles
        are the large ones that only a GPU takes for whole scans, unless memory is short or `low_memory` is asked for.
        """
        channels, halo = int(self.autoencoder.config["channels"][0]), CELL * self.autoencoder.decoder_reach
        chosen = tile_voxels(channels, halo, free_memory(self._device), self.low_memory, gpu=True)
        decoded, _ = in_tiles_that_fit(lambda most: decode_box(self.autoencoder, latents, box, check, most), chosen)
        return decoded

    def decoded_in_parts(
        self,
        latents: torch.Tensor,
        box: tuple[slice, slice, slice],
        parts: Sequence[tuple[slice, slice, slice]],
        check: Check | None = None,
    ) -> np.ndarray:
        """As `decoded`, but of the `parts` of the box alone, each a box of cells within it; 0 elsewhere."""
        intensities = np.zeros([CELL * (s.stop - s.start) for s in box], np.float32)
        for part in parts:
            voxels = tuple(slice(CELL * (p.start - s.start), CELL * (p.stop - s.start)) for p, s in zip(part, box))
            intensities[voxels] = self.decoded(latents, part, check)
        return intensities

    @property
    def _device(self) -> torch.device:
        return self.autoencoder.latent_mean.device

    def _voxels(self, free_bytes: int) -> int:
        """Voxels that may pass through the autoencoder at once, by the memory there is."""
        channels = int(self.autoencoder.config["channels"][0])
        on_gpu = self._device.type == "cuda"
        return tile_voxels(channels, self.autoencoder.encoder_reach, free_bytes, self.low_memory, on_gpu)

    def _notes(self, intensities: np.ndarray, chosen: int, used: int) -> tuple[str, ...]:
        """A sentence where memory ran out, or where smaller tiles than usual may have changed the result a little."""
        exact = self.autoencoder.config["normalisation"] == "none"
        usual = self._voxels(UNLIMITED)
        if used == chosen and (exact or min(usual, intensities.size) <= used):
            return ()
        effect = "The result is the same." if exact else "The result may differ a little from one with more memory."
        return (f"Memory was short: the scan was encoded in tiles of {used / 1e6:.1f} million voxels. {effect}",)
