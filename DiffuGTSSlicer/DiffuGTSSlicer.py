"""DiffuGTS: tumours found by a description in words, segmented in the background, compared with a pseudo-healthy scan."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import qt
import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from diffugts.errors import RequestError
from DiffuGTSSlicerLib import sample_data
from DiffuGTSSlicerLib.choices import ModalityChoice, QualityChoice
from DiffuGTSSlicerLib.compare_section import CompareSection
from DiffuGTSSlicerLib.compare_view import CompareView
from DiffuGTSSlicerLib.describe_section import DescribeSection
from DiffuGTSSlicerLib.environment import Environment
from DiffuGTSSlicerLib.finding_rows import FindingRow
from DiffuGTSSlicerLib.findings_section import FindingsSection
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.job_runner import JobRunner
from DiffuGTSSlicerLib.log_section import LogSection
from DiffuGTSSlicerLib.other_machine_section import OtherMachineSection
from DiffuGTSSlicerLib.results import ImportedResult
from DiffuGTSSlicerLib.run_section import RunSection
from DiffuGTSSlicerLib.segmentation_inputs import SegmentationInputs, orders_of
from DiffuGTSSlicerLib.setup_section import SetupSection
from DiffuGTSSlicerLib.stored_run import OrderOfThen
from DiffuGTSSlicerLib.volume_view import hide_result_of_another_volume
from DiffuGTSSlicerLib.volumes_section import VolumesSection


class DiffuGTSSlicer(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: "qt.QObject") -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("DiffuGTS")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The DiffuGTS developers"]
        parent.helpText = _(
            "Describe a tumour in words, one description per line, and find it in a CT or MR volume. Each description "
            "becomes a segment with a score map; a pseudo-healthy version of the scan shows what it would look like "
            "without the findings. Everything is computed on this computer, unless you choose "
            "another machine. For research use. Not a medical device."
        )
        parent.acknowledgementText = _(
            "An implementation of: Jiang et al., text-prompted tumour segmentation with pseudo-healthy inpainting by "
            "diffusion (DiffuGTS), CVPR 2025, arXiv:2505.02753. The foundation networks are those of MONAI (MAISI)."
        )
        slicer.app.connect("startupCompleted()", sample_data.register)


@parameterNodeWrapper
class DiffuGTSSlicerParameterNode:
    """What is chosen in the panel, saved with the scene.

    `volumes` are those ticked under Several volumes: where there are any, they are segmented instead of `volume`.
    `descriptions` is one text with a description per line; `model` is a model's name, empty for the first one;
    `device` is "auto", "cpu", a device such as "cuda:0", or "other machine"; a `threshold` of 0 stands for the model's own.
    """

    volume: vtkMRMLScalarVolumeNode
    volumes: list[vtkMRMLScalarVolumeNode]
    roi: vtkMRMLMarkupsROINode
    descriptions: str = ""
    quality: QualityChoice = QualityChoice.STANDARD
    modality: ModalityChoice = ModalityChoice.AUTOMATIC
    model: str = ""
    device: str = "auto"
    threshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.0
    smallestLesionMl: Annotated[float, WithinRange(0.0, 1000.0)] = 0.1
    seed: Annotated[int, WithinRange(0, 2**31 - 1)] = 0


class DiffuGTSSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: one column of sections, each with a class of its own."""

    logic: "DiffuGTSSlicerLogic"

    def __init__(self, parent: "qt.QWidget | None" = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.complete = False

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/DiffuGTSSlicer.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = DiffuGTSSlicerLogic()
        self.makeSections()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEnd)
        self.initializeParameterNode()

    def makeSections(self) -> None:
        ui, logic = self.ui, self.logic
        self.setupSection = SetupSection(
            ui.setupCollapsibleButton, self.resourcePath("UI/SetupSection.ui"), logic.environment
        )
        self.otherMachineSection = OtherMachineSection(
            ui.setupCollapsibleButton, self.resourcePath("UI/OtherMachineSection.ui"), logic.environment.other_machine
        )
        self.describeSection = DescribeSection(ui, logic.environment, logic.jobs, self.onInputsChanged)
        self.runSection = RunSection(
            ui, logic.jobs, self.describeSection, self.onResult, self.otherMachineSection.agreed_to
        )
        self.compareSection = CompareSection(
            ui.compareCollapsibleButton,
            self.resourcePath("UI/CompareSection.ui"),
            CompareView(slicer.mrmlScene, slicer.app.layoutManager()),
        )
        self.volumesSection = VolumesSection(
            ui.volumesCollapsibleButton,
            self.resourcePath("UI/VolumesSection.ui"),
            slicer.mrmlScene,
            self.onVolumeChosen,
        )
        logic.jobs.listeners.append(self.volumesSection.job_changed)
        self.findingsSection = FindingsSection(
            ui.findingsCollapsibleButton,
            self.resourcePath("UI/FindingsSection.ui"),
            slicer.mrmlScene,
            on_chosen=self.onFindingChosen,
            on_rerun=self.onRerun,  # type: ignore[arg-type]  # every order that the section makes is one of then
            on_read=self.volumesSection.show_findings,
        )
        self.logSection = LogSection(ui, logic.jobs)
        self.complete = True

    def cleanup(self) -> None:
        """The module is reloaded or Slicer quits: nothing of it stays, no process either."""
        self.removeObservers()
        self.logic.jobs.listeners.remove(self.volumesSection.job_changed)
        others = (self.otherMachineSection, self.describeSection, self.volumesSection, self.logSection)
        for section in (*self.openSections(), *others):
            section.cleanup()
        self.logic.close()

    def onReload(self) -> None:
        """Reload the package too: Slicer itself reloads this file alone."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "DiffuGTSSlicerLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def openSections(self) -> tuple[SetupSection, RunSection, FindingsSection, CompareSection]:
        """The sections that do something only while the panel is open."""
        return self.setupSection, self.runSection, self.findingsSection, self.compareSection

    def enter(self) -> None:
        self.initializeParameterNode()
        for section in self.openSections():
            section.enter()

    def exit(self) -> None:
        """Another module is shown; what runs goes on."""
        for section in self.openSections():
            section.exit()

    def onSceneStartClose(self, caller: vtk.vtkObject, event: str) -> None:
        self.describeSection.set_parameters(None)

    def onSceneEnd(self, caller: vtk.vtkObject, event: str) -> None:
        """The scene was closed, or one was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()
        self.findingsSection.refresh()

    def initializeParameterNode(self) -> None:
        """Show the scene's parameter node; the volume is the one that is shown, where none was chosen yet."""
        self.describeSection.set_parameters(self.logic.getParameterNode())

    def onInputsChanged(self) -> None:
        if self.complete:
            self.runSection.refresh()

    def onResult(self, job: Job) -> None:
        """A result has come into the scene. Of several volumes the first is shown; the others do not take it away."""
        self.ui.findingsCollapsibleButton.collapsed = False
        if not job.follows_a_companion:
            self.findingsSection.show_result(job.name)
            return
        hide_result_of_another_volume(slicer.mrmlScene, job.name)
        self.findingsSection.refresh_soon()

    def onFindingChosen(self, result: str, segmentId: str) -> None:
        """A finding was chosen in the section Findings."""
        self.compareSection.show(result, segmentId)
        self.volumesSection.mark(result, segmentId)

    def onRerun(self, asked: OrderOfThen) -> None:
        """A result is to be made again, with the model of then wherever it lies here. Raises ResultError where it does not."""
        order, difference = asked.with_model(self.logic.environment.models())
        self.runSection.start(order)
        self.findingsSection.say(difference)

    def onVolumeChosen(self, finding: FindingRow) -> None:
        """A finding was chosen in the table of all volumes, and its volume is shown."""
        self.ui.findingsCollapsibleButton.collapsed = False
        self.findingsSection.choose(finding.key)


class DiffuGTSSlicerLogic(ScriptedLoadableModuleLogic, VTKObservationMixin):
    """Segmentation in the background, with or without the panel.

    >>> logic = DiffuGTSSlicerLogic()
    >>> job = logic.segment(volumeNode, ["hypodense liver metastasis"], wait=True)
    >>> job.state, job.reason
    >>> for finding in job.result.record.findings:
    ...     print(finding.description, finding.verdict, finding.highest_score, finding.volume_ml)
    >>> logic.close()
    """

    def __init__(self, environment: Environment | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        VTKObservationMixin.__init__(self)
        self.environment = environment or Environment()
        self.jobs = JobRunner(
            slicer.mrmlScene,
            self.environment.worker_command,
            Path(slicer.app.temporaryPath),
            self.environment.other_machine.worker_command,
        )
        self.environment.listeners.append(self.jobs.setup_changed)
        self.environment.before_change.append(self.jobs.end_worker)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        slicer.app.connect("aboutToQuit()", self.close)

    def getParameterNode(self) -> DiffuGTSSlicerParameterNode:
        return DiffuGTSSlicerParameterNode(super().getParameterNode())  # type: ignore[call-arg]  # made by the wrapper

    def segment(
        self,
        volumeNode: vtkMRMLScalarVolumeNode,
        descriptions: Sequence[str] | str,
        roi: vtkMRMLMarkupsROINode | None = None,
        quality: str = "standard",
        model: str = "compact",
        device: str = "auto",
        modality: str | None = None,
        threshold: float | None = None,
        smallestLesionMl: float = 0.1,
        seed: int = 0,
        wait: bool = False,
        listener: Callable[[Job], None] | None = None,
    ) -> Job:
        """Look for descriptions in a volume.

        Returns a job at once; it goes on in the background while the event loop runs. With `wait`, returns when it is
        over; the event loop runs meanwhile. What became of it is in `job.state` (DONE, FAILED, CANCELLED), `job.reason`
        and `job.result`; `listener` is called with the job at every change.

        Args:
            descriptions: texts, or one text with a description per line.
            roi: outside its box nothing is looked for or painted. To save memory, crop the volume.
            quality: "fast", "standard" or "thorough".
            model: a shipped model's name, or a model's folder.
            device: "auto", "cpu", "cuda:0"..., or "other machine": the one set up in Setup, where it was agreed to
                (docs/server.md); the scan is sent there.
            modality: "CT" or "MR"; None where the volume itself says it.
            threshold: 0..1 on the score; None for the model's own.
            smallestLesionMl: smaller connected regions are left out.

        Raises:
            diffugts.errors.DiffuGTSError: something is missing or cannot be segmented; its text is a sentence.
        """
        lines = descriptions.splitlines() if isinstance(descriptions, str) else list(descriptions)
        more = {"threshold": threshold, "smallest_lesion_ml": smallestLesionMl, "seed": seed}
        order = SegmentationInputs(volumeNode, lines, roi, quality, model, device, modality, more).order()
        job = self.jobs.add(order, listener)
        if wait:
            self.jobs.wait(job)
        return job

    def segmentVolumes(
        self,
        volumeNodes: Sequence[vtkMRMLScalarVolumeNode],
        descriptions: Sequence[str] | str,
        quality: str = "standard",
        model: str = "compact",
        device: str = "auto",
        modality: str | None = None,
        threshold: float | None = None,
        smallestLesionMl: float = 0.1,
        seed: int = 0,
        wait: bool = False,
        listener: Callable[[Job], None] | None = None,
    ) -> tuple[Job, ...]:
        """Look for the same descriptions in several volumes, one after the other.

        Returns a job for each volume, in their order; they are as those of `segment`, and what happens to one does not
        stop the others. With `wait`, returns when all are over. There is no region: it would belong to one volume.

        Args:
            volumeNodes: a volume that comes twice is taken once.

        The other arguments are those of `segment`.

        Raises:
            diffugts.errors.DiffuGTSError: something is missing, or one of the volumes cannot be segmented, which its text
                names; none was put in line then.
        """
        lines = descriptions.splitlines() if isinstance(descriptions, str) else list(descriptions)
        more = {"threshold": threshold, "smallest_lesion_ml": smallestLesionMl, "seed": seed}
        asked = SegmentationInputs(None, lines, None, quality, model, device, modality, more)
        orders = orders_of(asked.for_each(list(dict.fromkeys(volumeNodes))))
        jobs = self.jobs.add_together(orders, listener)
        if wait:
            for job in jobs:
                self.jobs.wait(job)
        return jobs

    def close(self) -> None:
        """End the jobs and the worker, at the end of a script, of the module or of Slicer. Nothing can run afterwards."""
        slicer.app.disconnect("aboutToQuit()", self.close)
        self.removeObservers()
        self.jobs.close()
        self.environment.close()

    def onSceneStartClose(self, caller: vtk.vtkObject, event: str) -> None:
        self.jobs.scene_closed()


class DiffuGTSSlicerTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer. A segmentation is tried where Setup has made the worker ready, and said to be skipped else."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        self.logic = DiffuGTSSlicerLogic()

    def tearDown(self) -> None:
        self.logic.close()

    def runTest(self) -> None:
        for test in (self.test_parameters, self.test_missing, self.test_segmentation):
            self.setUp()
            try:
                test()
            finally:
                self.tearDown()

    @staticmethod
    def madeVolume() -> vtkMRMLScalarVolumeNode:
        """A generated body of soft tissue in air, 96 mm wide, with a darker ball in it, in HU."""
        place = np.indices((48, 48, 48)) - 24
        voxels = np.full(place.shape[1:], -1000, np.int16)
        voxels[(place[1:] ** 2).sum(axis=0) < 20**2] = 50
        voxels[(place**2).sum(axis=0) < 6**2] = 0
        return slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.diag([2.0, 2.0, 2.0, 1.0]), name="generated CT")

    def test_parameters(self) -> None:
        self.delayDisplay("Choices are kept in the scene")
        parameters = self.logic.getParameterNode()
        parameters.descriptions = "liver metastasis\nrenal cell carcinoma"
        parameters.quality = QualityChoice.FAST
        again = self.logic.getParameterNode()
        self.assertEqual(again.descriptions.splitlines(), ["liver metastasis", "renal cell carcinoma"])
        self.assertEqual(again.quality, QualityChoice.FAST)

    def test_missing(self) -> None:
        self.delayDisplay("What is missing is said in sentences")
        self.assertEqual(len(SegmentationInputs(None, []).missing()), 2)
        volume = self.madeVolume()
        self.assertEqual(SegmentationInputs(volume, ["liver metastasis"]).missing(), ())
        with self.assertRaises(RequestError):
            self.logic.segment(volume, "  \n ")
        with self.assertRaises(RequestError):
            self.logic.segmentVolumes([], "liver metastasis")

    def test_segmentation(self) -> None:
        ready, state = self.logic.environment.readiness()
        if not ready:
            self.delayDisplay(f"Skipped the segmentation: {state}")
            return
        self.delayDisplay("A segmentation by the real worker")
        job = self.logic.segment(self.madeVolume(), ["soft tissue sarcoma"], quality="fast", wait=True)
        self.assertEqual(job.state, JobState.DONE, job.reason)
        assert isinstance(job.result, ImportedResult)
        segmentation = slicer.mrmlScene.GetNodeByID(job.result.segmentation_id)
        self.assertEqual(segmentation.GetSegmentation().GetNumberOfSegments(), 1)
