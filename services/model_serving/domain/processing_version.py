"""The version of the processing library, pinned in every result.

It covers everything between the bytes of an image and the findings that a model's answer does not decide by itself.
Raise it with every change by which the same images and the same answer could give another result, however small: the
third number for a correction, the second for something new, the first when devices must be tested again.
"""

from typing import Final

PROCESSING_VERSION: Final = "1.1.0"
