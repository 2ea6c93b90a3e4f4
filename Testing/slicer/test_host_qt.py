"""The host's qt has PythonQt's manners, and refuses names that Qt, CTK and Slicer lack."""

import sys

import ctk
import pytest
import qt
import slicer
from host.allowed_names import SLICER_NAMES
from host.message_boxes import UnansweredQuestionError
from host.signals_by_name import UnknownSignalError
from host.stand_in_classes import STAND_INS
from host.ui_loading import UiFileError


def test_properties_are_attributes_and_setters_stay():
    button = qt.QPushButton("Segment")
    button.enabled = False
    button.name = "segmentButton"
    assert button.text == "Segment"
    assert button.objectName == "segmentButton"
    assert not button.isEnabled()
    button.setText("Cancel")
    assert button.text == "Cancel"
    assert button.className() == "QPushButton"


def test_a_getter_that_classes_declare_again_is_an_attribute_too():
    class Wide(qt.QPushButton):
        pass

    for button in (qt.QPushButton("Segment"), Wide("Segment")):
        assert button.sizeHint.width() > 10
        assert button.sizeHint.height() > 10


@pytest.mark.parametrize("make", [qt.QPushButton, ctk.ctkSliderWidget, slicer.qMRMLNodeComboBox, qt.QTimer])
def test_a_misspelt_attribute_is_refused_for_writing_and_reading(make):
    widget = make()
    with pytest.raises(AttributeError, match="enabeld"):
        widget.enabeld = False
    with pytest.raises(AttributeError, match="enabeld"):
        _ = widget.enabeld


def test_a_python_subclass_may_have_fields_of_its_own():
    class Row(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.description = "liver metastasis"

    assert Row().description == "liver metastasis"


def test_methods_signals_and_read_only_properties_cannot_be_assigned():
    button = qt.QPushButton()
    for name in ("click", "clicked"):
        with pytest.raises(AttributeError, match="method or signal"):
            setattr(button, name, print)
    with pytest.raises(AttributeError, match="read-only"):
        slicer.app.majorVersion = 4


@pytest.mark.parametrize(
    ("make", "signature"),
    [
        (qt.QPushButton, "cliked(bool)"),
        (qt.QPushButton, "clicked(int)"),
        (qt.QComboBox, "currentIndexChanged(QString)"),  # was Qt 4's and 5's, is not in 6
        (qt.QCheckBox, "checkStateChanged(Qt::CheckState)"),  # is in Qt 6.7, was not in 5
        (ctk.ctkSliderWidget, "valueChanged(int)"),
        (slicer.qMRMLNodeComboBox, "currentNodeChanged(QString)"),
    ],
)
def test_an_unknown_signal_is_refused(make, signature):
    with pytest.raises(UnknownSignalError, match="has no signal"):
        make().connect(signature, lambda: None)


def test_a_receiver_gets_as_many_arguments_as_it_takes():
    button = qt.QPushButton()
    button.checkable = True
    heard = []
    button.connect("clicked(bool)", lambda checked: heard.append(("one", checked)))
    button.connect("clicked(bool)", lambda: heard.append(("none",)))
    button.connect("clicked()", lambda *given: heard.append(("all", *given)))
    button.clicked.connect(lambda checked: heard.append(("attribute", checked)))
    button.click()
    assert sorted(heard) == [("all",), ("attribute", True), ("none",), ("one", True)]


def test_disconnecting_by_signature_ends_it():
    edit = qt.QLineEdit()
    heard = []
    edit.connect("textChanged(QString)", heard.append)
    edit.text = "a"
    assert edit.disconnect("textChanged(QString)", heard.append)
    edit.text = "b"
    assert heard == ["a"]
    assert not edit.disconnect("textChanged(QString)", heard.append)


def test_the_bool_overload_of_a_node_signal_says_whether_there_is_a_node(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    heard = []
    selector.connect("currentNodeChanged(bool)", heard.append)
    selector.setMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLTextNode", "Note")
    scene.RemoveNode(node)
    assert heard == [True, False]


def test_the_node_selector_follows_the_scene(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLMarkupsROINode"]
    selector.noneEnabled = True
    selector.noneDisplay = "whole volume"
    selector.setMRMLScene(scene)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Liver")
    scene.AddNewNodeByClass("vtkMRMLTextNode", "Other")
    assert selector.nodeCount() == 1
    assert selector.currentNode() is None
    selector.setCurrentNode(roi)
    assert selector.currentNodeID == roi.GetID()
    roi.SetName("Left lobe")
    assert "Left lobe" in [selector.findChild(qt.QComboBox).itemText(i) for i in range(2)]
    scene.Clear(0)
    assert selector.currentNode() is None


def test_a_question_needs_an_answer_and_is_recorded(host):
    with pytest.raises(UnansweredQuestionError):
        slicer.util.confirmOkCancelDisplay("Cancel the job?", "Confirm")
    host.dialogs.answer("Cancel", "Ok")
    assert slicer.util.confirmOkCancelDisplay("Cancel the job?", "Confirm") is False
    assert slicer.util.confirmOkCancelDisplay("Cancel the job?", "Confirm") is True
    assert {each.text for each in host.dialogs.shown} == {"Cancel the job?"}
    assert host.dialogs.shown[0].buttons == ("Ok", "Cancel")


def test_errors_and_file_dialogs_are_recorded(host):
    slicer.util.errorDisplay("The disk is full.", detailedText="details")
    host.dialogs.answer("/a/table.csv")
    assert qt.QFileDialog.getSaveFileName(None, "Save the table") == "/a/table.csv"
    assert [(each.kind, each.text) for each in host.dialogs.shown] == [
        ("message", "The disk is full."),
        ("getSaveFileName", "Save the table"),
    ]
    assert host.dialogs.shown[0].detailed_text == "details"


def test_an_exception_in_a_slot_does_not_go_unnoticed(host):
    def fails():
        raise KeyError("lost in a slot")

    button = qt.QPushButton()
    button.connect("clicked()", fails)
    button.click()
    assert ["lost in a slot" in each for each in host.faults.take_exceptions()] == [True]


def test_names_that_slicer_lacks_are_errors():
    for namespace, name in (
        (slicer, "loadVolume"),  # is slicer.util.loadVolume
        (slicer, "qMRMLNodeCombobox"),
        (slicer.modules, "segmenteditro"),
        (slicer.app, "layoutManger"),
        (ctk, "ctkSliderWidgett"),
        (qt, "QPushButon"),
    ):
        with pytest.raises(AttributeError, match=name):
            getattr(namespace, name)
    with pytest.raises(AttributeError, match="exists in Slicer"):
        _ = slicer.qMRMLThreeDWidget


def test_every_stand_in_offers_only_names_of_its_class():
    assert {"qMRMLNodeComboBox", "ctkCollapsibleButton", "qSlicerLayoutManager"} <= set(
        STAND_INS.named_like("q", "ctk")
    )
    with pytest.raises(TypeError, match="currentNodeName"):

        class qMRMLCheckableNodeComboBox(slicer.qMRMLNodeComboBox):
            currentNodeName = "invented"

        STAND_INS.add(qMRMLCheckableNodeComboBox)
    assert "currentNodeChanged(vtkMRMLNode*)" in SLICER_NAMES.signals("qMRMLCheckableNodeComboBox")


UI = """<ui version="4.0"><widget class="QWidget" name="panel"><layout class="QVBoxLayout" name="box">
<item><widget class="{widget}" name="part"><property name="{name}"><bool>false</bool></property></widget></item>
</layout></widget>{connections}</ui>"""
CONNECTION = """<connections><connection><sender>part</sender><signal>{signal}</signal><receiver>panel</receiver>
<slot>{slot}</slot></connection></connections>"""


@pytest.mark.parametrize(
    ("widget", "name", "connections", "fault"),
    [
        ("QPushButton", "enabled", "", None),
        ("ctkSliderWidgett", "enabled", "", "ctkSliderWidgett"),
        ("QPushButton", "enabeld", "", "no property 'enabeld'"),
        ("qMRMLNodeComboBox", "noneEnabeld", "", "no property 'noneEnabeld'"),
        ("QPushButton", "enabled", CONNECTION.format(signal="toggled(bool)", slot="setVisible(bool)"), None),
        ("QPushButton", "enabled", CONNECTION.format(signal="togled(bool)", slot="setVisible(bool)"), "togled"),
        ("QPushButton", "enabled", CONNECTION.format(signal="toggled(bool)", slot="setVisibel(bool)"), "setVisibel"),
    ],
)
def test_a_ui_file_may_only_use_what_exists(tmp_path, widget, name, connections, fault):
    path = tmp_path / "panel.ui"
    path.write_text(UI.format(widget=widget, name=name, connections=connections), encoding="utf-8")
    if fault is None:
        assert slicer.util.loadUI(str(path)).name == "panel"
    else:
        with pytest.raises((UiFileError, UnknownSignalError, AttributeError), match=fault):
            slicer.util.loadUI(str(path))


def test_settings_are_the_hosts_own(tmp_path):
    settings = qt.QSettings()
    settings.setValue("Example/key", 3)
    assert slicer.util.settingsValue("Example/key", 0, converter=int) == 3
    assert settings.fileName().startswith(str(slicer.app.temporaryPath).rsplit("/", 1)[0])
    settings.remove("Example/key")


def test_the_environment_and_timers_work_as_in_slicer(host):
    assert "PATH" in slicer.util.startupEnvironment()
    timer = qt.QTimer()
    timer.singleShot = True
    timer.interval = 1
    heard = []
    timer.connect("timeout()", lambda: heard.append("timeout"))
    timer.start()
    host.wait_until(lambda: heard == ["timeout"])
    assert timer.active is False


def test_a_process_reports_by_its_signals(host):
    process = qt.QProcess()
    output, codes = [], []
    process.connect("readyReadStandardOutput()", lambda: output.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: codes.append(code))
    process.start(sys.executable, ["-c", "print('ready'); raise SystemExit(3)"])
    host.wait_until(lambda: codes, seconds=30)
    assert b"".join(output).strip() == b"ready"
    assert codes == [3]


def test_connecting_by_signature_works_on_every_kind_of_object():
    for make in (
        qt.QProcess,
        qt.QFile,
        qt.QMenu,
        qt.QBuffer,
        qt.QTimer,
        qt.QPushButton,
        qt.QButtonGroup,
        ctk.ctkSliderWidget,
    ):
        with pytest.raises(UnknownSignalError):
            make().connect("noSuchSignal()", lambda: None)
