"""Stand-in for the module Sample Data: keeps what modules register; downloads nothing."""

from dataclasses import dataclass
from typing import Any

from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleLogic


@dataclass
class SampleDataSource:
    """One registered sample; see Slicer's class of this name for the meaning of the fields."""

    sampleName: str | None = None
    sampleDescription: str | None = None
    uris: Any = None
    fileNames: Any = None
    nodeNames: Any = None
    checksums: Any = None
    loadFiles: Any = None
    customDownloader: Any = None
    thumbnailFileName: str | None = None
    loadFileType: Any = None
    loadFileProperties: Any = None


class SampleData(ScriptedLoadableModule):
    """The module."""

    registeredSources: dict[str, list[SampleDataSource]] = {}

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Sample Data"


class SampleDataLogic(ScriptedLoadableModuleLogic):
    """Registers samples; downloading is refused, for tests use no network."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileTypes=None,
        sampleDescription=None,
    ):
        lists = [each if isinstance(each, list) else [each] for each in (uris, fileNames, nodeNames)]
        if len({len(each) for each in lists}) != 1:
            raise ValueError("uris, fileNames and nodeNames must be of the same length")
        source = SampleDataSource(
            sampleName,
            sampleDescription,
            uris,
            fileNames,
            nodeNames,
            checksums,
            loadFiles,
            customDownloader,
            thumbnailFileName,
            loadFileType or loadFileTypes,
            loadFileProperties,
        )
        SampleData.registeredSources.setdefault(category, []).append(source)

    def downloadSample(self, sampleName):
        raise RuntimeError(f"this host downloads nothing, so not the sample '{sampleName}'")
