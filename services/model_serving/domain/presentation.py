"""How values are meant to look: windows and lookup tables (PS3.3 C.11.1, C.11.2), and a spread without either."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_DARKEST_PERCENT: Final = 0.5
_BRIGHTEST_PERCENT: Final = 99.5


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A modality or VOI lookup table.

    Args:
        first: The input value of the first entry. Lower ones map to it too, those beyond the last entry to the last.
        entries: Output values, shape ``(entries,)``.
        bits: Bits of an entry: 8 to 16.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def applied_to(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Look up values, any shape; fractions are rounded to the nearest input value, NaN stays NaN."""
        known = np.isfinite(values)
        index = np.rint(np.where(known, values, self.first)).astype(np.int64) - self.first
        found = self.entries[np.clip(index, 0, len(self.entries) - 1)].astype(np.float32)
        return np.where(known, found, np.float32(np.nan))


@dataclass(frozen=True, slots=True)
class Window:
    """A window, in modality values.

    Args:
        centre: Window Center (0028,1050).
        width: Window Width (0028,1051); at least 1 for LINEAR, above 0 for the others.
        function: VOI LUT Function (0028,1056).
    """

    centre: float
    width: float
    function: WindowFunction = "LINEAR"

    def apply(self, values: NDArray[np.float32]) -> None:
        """Turn values into 0 to 1, in place (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
        match self.function:
            case "LINEAR":
                # LINEAR counts the width in whole steps: from centre - width / 2 to centre + width / 2 - 1.
                _ramp(values, lowest=self.centre - self.width / 2, extent=self.width - 1)
            case "LINEAR_EXACT":
                _ramp(values, lowest=self.centre - self.width / 2, extent=self.width)
            case "SIGMOID":
                exponent = np.clip(-4.0 * (values - self.centre) / self.width, -80.0, 80.0)
                np.divide(np.float32(1.0), np.float32(1.0) + np.exp(exponent), out=values)


def common_window(windows: list[Window | None]) -> Window | None:
    """Return the window that all frames share; None where one has none or they differ."""
    return windows[0] if windows and all(window == windows[0] for window in windows) else None


def spread(values: NDArray[np.float32]) -> Window:
    """Return the window from the 0.5th to the 99.5th percentile of what is not padding."""
    valid = values[np.isfinite(values)]
    if valid.size == 0:
        return Window(0.0, 1.0, "LINEAR_EXACT")
    darkest, brightest = np.percentile(valid, [_DARKEST_PERCENT, _BRIGHTEST_PERCENT])
    # One value everywhere is background: it becomes 0, whatever it is.
    width = float(brightest - darkest) or 1.0
    return Window(float(darkest) + width / 2, width, "LINEAR_EXACT")


def _ramp(values: NDArray[np.float32], *, lowest: float, extent: float) -> None:
    if extent == 0.0:
        np.copyto(values, values > lowest, where=~np.isnan(values))
        return
    np.subtract(values, np.float32(lowest), out=values)
    np.divide(values, np.float32(extent), out=values)
    np.clip(values, 0.0, 1.0, out=values)
