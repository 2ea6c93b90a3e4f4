"""The tutorial's scan in the module Sample Data: there after start-up, loaded without a network."""

from __future__ import annotations

import numpy as np
import SampleData
import slicer
from PySide6 import QtGui

from DiffuGTSSlicerLib import sample_data


def test_the_sample_is_registered_once_however_often_the_module_is_loaded(host) -> None:
    sample_data.register()
    sample_data.register()
    (source,) = slicer.modules.sampleDataSources[sample_data.CATEGORY]
    assert source.sampleName == source.nodeNames[0] == sample_data.SAMPLE
    assert source.uris[0].startswith("file://"), "nothing is downloaded"
    thumbnail = QtGui.QImage(source.thumbnailFileName)
    assert (thumbnail.width(), thumbnail.height()) == (260, 280)


def test_the_sample_loads_as_a_ct_of_a_thigh(scene) -> None:
    sample_data.register()
    volume = SampleData.downloadSample(sample_data.SAMPLE)
    assert volume.GetName() == sample_data.SAMPLE
    assert np.allclose(volume.GetSpacing(), 2.0)
    voxels = slicer.util.arrayFromVolume(volume)
    assert voxels.shape == (95, 95, 95) and voxels.min() == -1024 and 1000 < voxels.max() < 3000
