"""Errors a user can act on, each with the exit code of the command line.

Every message is one or more plain sentences: what was met, what was expected, what to do. Code that
cannot say this lets the original exception through instead of wrapping it. Standard library only:
the Slicer side of the extension imports this module too.
"""

from __future__ import annotations


class DiffuGTSError(Exception):
    """Base of all errors with a sentence for the user.

    `code` is the word that stands for the error in `result.json` and in the worker's lines,
    `exit_code` what the command line returns (docs/architecture.md lists them).
    """

    code = "error"
    exit_code = 1


class RequestError(DiffuGTSError):
    """The request itself cannot be carried out: a missing field, an unknown quality, no description."""

    code = "request"
    exit_code = 2


class ScanError(DiffuGTSError):
    """The scan cannot be read, or its geometry or content is not what the method can work on."""

    code = "scan"
    exit_code = 3


class ModelError(DiffuGTSError):
    """The model folder is missing, incomplete, damaged or of another kind."""

    code = "model"
    exit_code = 4


class DescriptionError(DiffuGTSError):
    """A description cannot be turned into an embedding."""

    code = "description"
    exit_code = 5


class MemoryShortageError(DiffuGTSError):
    """The scan does not fit into memory even with the smallest tiles."""

    code = "memory"
    exit_code = 6


class ResultError(DiffuGTSError):
    """The result cannot be written, or what lies in the output folder is not a whole result."""

    code = "result"
    exit_code = 7


class InstallationError(DiffuGTSError):
    """A library that the engine needs is missing or cannot be loaded."""

    code = "installation"
    exit_code = 8


class Cancelled(DiffuGTSError):
    """The user asked to stop. Nothing half-written stays behind."""

    code = "cancelled"
    exit_code = 130
