"""One slice view drawn off-screen by the real displayable managers.

The image goes into renderer layer 0 and what the displayable managers draw (segments, markups, legends, rulers) into
layer 1: with both in one renderer the 2D segment fill would hide the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

DISPLAYABLE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)


class SliceRendering:
    """The render window of a slice view.

    Args:
        slice_logic: the view's vtkMRMLSliceLogic, its slice node set.
        corner_annotation: a vtkCornerAnnotation drawn over the image, for texts in the corners.
    """

    def __init__(self, slice_logic: Any, corner_annotation: Any) -> None:
        self.slice_logic = slice_logic
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.ShowWindowOff()
        self.window.SetMultiSamples(0)
        self.window.SetNumberOfLayers(2)
        self.image_renderer, self.overlay_renderer = vtk.vtkRenderer(), vtk.vtkRenderer()
        self.overlay_renderer.SetLayer(1)
        for renderer in (self.image_renderer, self.overlay_renderer):
            renderer.GetActiveCamera().ParallelProjectionOn()
            self.window.AddRenderer(renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        for name in DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.displayable_managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.displayable_managers.SetRenderer(self.overlay_renderer)
        self.displayable_managers.Initialize(factory, self.overlay_renderer)
        self.displayable_managers.SetMRMLDisplayableNode(slice_logic.GetSliceNode())
        self._image_mapper = vtk.vtkImageMapper()
        self._image_mapper.SetColorWindow(255)
        self._image_mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._image_mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self.image_renderer.AddViewProp(self._image)
        self.overlay_renderer.AddViewProp(corner_annotation)

    def picture(self, width: int, height: int) -> np.ndarray:
        """Render at the size in pixels, as a (height, width, 3) uint8 array, top row first."""
        self.window.SetSize(width, height)
        self.slice_logic.ResizeSliceNode(width, height)
        connection = self.slice_logic.GetImageDataConnection()
        self._image.SetVisibility(connection is not None)
        self._image_mapper.SetInputConnection(connection)
        self.window.Render()
        reader = vtk.vtkWindowToImageFilter()
        reader.SetInput(self.window)
        reader.ReadFrontBufferOff()
        reader.Update()
        image = reader.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()

    def close(self) -> None:
        """Let go of the scene and of the graphics context, in the order that VTK needs."""
        self.displayable_managers.SetMRMLDisplayableNode(None)
        self.window.Finalize()
