"""The module `qt` of 3D Slicer: all of Qt's classes in one flat namespace, with PythonQt's manners."""

from host.message_boxes import teach_dialogs_to_record
from host.pythonqt_manners import teach_pythonqt_manners
from host.ui_loading import QUiLoader as QUiLoader
from PySide6 import QtCore, QtGui, QtWidgets

teach_pythonqt_manners()
teach_dialogs_to_record()

for _module in (QtCore, QtGui, QtWidgets):
    for _name in dir(_module):
        if _name.startswith("Q"):
            globals()[_name] = getattr(_module, _name)
