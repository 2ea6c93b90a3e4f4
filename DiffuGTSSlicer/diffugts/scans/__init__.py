"""Scans: voxels with their geometry, read from files, brought to a model's working grid and back."""
