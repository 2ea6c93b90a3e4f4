"""The Slicer side of DiffuGTS: jobs, the worker process, results in the scene, correcting, comparing.

Slicer's process imports no torch. Of the engine it knows only `diffugts.protocol` and `diffugts.errors`; everything
else happens in the worker process (`worker_process`), reached by JSON lines and files.
"""
