"""The one way in which the processing library says that images cannot be used."""

from model_serving.domain.failure import Reason, RunFailedError
from udcmodel.vocabulary import ErrorCategory


class UnsuitableInputError(RunFailedError):
    """The images arrived whole and are still not what a device can work on.

    Args:
        detail: One sentence for people, with the numbers. Never patient data.
        category: Who is at fault, in the published words.
    """

    def __init__(self, detail: str, *, category: ErrorCategory) -> None:
        super().__init__(Reason.INPUT_UNSUITABLE, detail, category=category)
