# What Slicer does here (a configuration file of the extension, packing) is not stood in for.
