"""Writes results into image archives: builds the DICOM objects once, stores them, reads them back, keeps the proof."""
