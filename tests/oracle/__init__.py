"""An independent judge of results: DICOM SEG and SR against their source images.

Written from the standard (PS3.3, PS3.16) with pydicom and numpy alone. It shares no code with what it judges, so that
an error cannot sit on both sides. Every check returns a list of violations; an empty list is a pass.
"""
