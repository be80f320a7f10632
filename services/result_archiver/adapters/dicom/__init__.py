"""DICOM objects: the only package that knows highdicom and pydicom."""
