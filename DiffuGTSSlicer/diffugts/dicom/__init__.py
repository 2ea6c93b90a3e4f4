"""Results as DICOM objects of the scanned study: segmentations, score maps, the pseudo-healthy volume. Files only."""
