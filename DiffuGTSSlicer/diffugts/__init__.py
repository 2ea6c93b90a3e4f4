"""DiffuGTS: text-prompted tumour segmentation with pseudo-healthy inpainting.

The engine of the 3D Slicer extension, usable without Slicer. Research use only, not a medical device.
"""

__version__ = "0.1.0"
