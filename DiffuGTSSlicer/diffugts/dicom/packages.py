"""The optional packages that DICOM objects are written with."""

from __future__ import annotations

from diffugts.errors import InstallationError


def require_packages() -> None:
    """Raise InstallationError unless pydicom and highdicom are installed; to be called before any work starts."""
    try:
        import highdicom  # noqa: F401
        import pydicom  # noqa: F401
    except ImportError as error:
        raise InstallationError(
            f"Writing DICOM needs the package '{error.name}', which is not installed. Install it with: "
            "pip install 'diffugts[dicom]'"
        ) from error
