"""The pytest fixtures of the host, and skipping where the machine cannot run it.

A conftest.py takes them in with ``from host.plugin import *`` after it has put the folder of `host` on sys.path.
"""

from __future__ import annotations

import pytest

from host.machine import reason_not_to_run

__all__ = ["application", "fails_for_unnoticed_faults", "host", "pytest_pycollect_makemodule", "scene"]


class _SkippedModule(pytest.Module):
    """A test file that is skipped as a whole, before it is imported."""

    def collect(self):
        pytest.skip(reason_not_to_run(), allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Skip the test files of the folder where the host cannot run; boot it before the first is imported."""
    if reason_not_to_run():
        return _SkippedModule.from_parent(parent, path=module_path)
    from vtk import vtkLogger

    import host

    # What VTK reports fails the test that it comes from (see host.faults); processes of tests would print it as well.
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    host.start()
    return None


@pytest.fixture(scope="session")
def host():
    """The running host (see host.Host)."""
    import host as host_package

    return host_package.start()


@pytest.fixture(scope="session")
def application(host):
    """`slicer.app`."""
    return host.application


@pytest.fixture
def scene(host):
    """`slicer.mrmlScene`, empty before and after the test."""
    host.clear()
    yield host.scene
    host.scene.Clear(0)
    host.process_events()


@pytest.fixture(autouse=True)
def fails_for_unnoticed_faults(request):
    """Fail a test in which VTK reported an error, a callback raised, or a prepared answer was never asked for."""
    running = request.getfixturevalue("host")
    running.faults.clear()
    running.dialogs.clear()
    yield running
    running.process_events()
    running.faults.check()
    assert not running.dialogs.unused_answers, f"no dialog asked for {running.dialogs.unused_answers}"
