"""The demonstration: a morning's worth of studies, with the truth about each in a manifest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from udcphantom.companions import all_companions
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, in_groups, scan
from udcphantom.header import StudyContext
from udcphantom.heads import LEFT_BLEED, RIGHT_BLEED, head
from udcphantom.identity import Identity
from udcphantom.mr import render_mr
from udcphantom.radiograph import LEFT_LOWER, Detector, render_chest
from udcphantom.scene import Lesion
from udcphantom.study import Study


@dataclass(frozen=True, slots=True)
class Size:
    """How large the demonstration's images are.

    Args:
        matrix: Rows and columns of CT and MR.
        chest: Rows and columns of radiographs.
        slices: Slices of the regular CT series.
    """

    matrix: int
    chest: int
    slices: int

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Pixel spacing for a field of view of 240 mm, mm."""
        return (240.0 / self.matrix,) * 2


REALISTIC: Final = Size(matrix=512, chest=1024, slices=36)
SMALL: Final = Size(matrix=128, chest=256, slices=18)


def _identity(number: int, name: str, sex: str, birth_date: str, description: str) -> Identity:
    return Identity(
        patient_name=name,
        patient_id=f"DEMO-{number:04d}",
        birth_date=birth_date,
        sex=sex,
        study_time=f"{8 + number // 4:02d}{number % 4 * 15:02d}00",
        accession_number=f"DEMO{number:04d}",
        study_description=description,
    )


def _head_ct(identity: Identity, seed: int, size: Size, lesions: tuple[Lesion, ...]) -> Study:
    geometry = scan(
        evenly(size.slices, spacing=180.0 / size.slices),
        rows=size.matrix,
        columns=size.matrix,
        pixel_mm=size.pixel_mm,
    )
    return render_ct(head(lesions), geometry, identity=identity, seed=seed)


def _tilted_head_ct(identity: Identity, seed: int, size: Size, lesions: tuple[Lesion, ...]) -> Study:
    geometry = scan(
        in_groups((16, 2.5), (16, 7.5)),
        rows=size.matrix,
        columns=size.matrix,
        pixel_mm=size.pixel_mm,
        tilt_deg=18.0,
    )
    return render_ct(head(lesions), geometry, identity=identity, seed=seed)


def _ct_left_bleed(seed: int, size: Size) -> Study:
    identity = _identity(1, "Синтетов^Иван^Фантомович", "M", "19550412", "КТ головного мозга")
    study = _head_ct(identity, seed, size, (LEFT_BLEED,))
    return study.with_series(*all_companions(StudyContext(identity=identity, seed=seed), head([LEFT_BLEED])))


def _ct_two_bleeds(seed: int, size: Size) -> Study:
    identity = _identity(2, "Примерова^Анна^Тестовна", "F", "19480901", "КТ головного мозга")
    return _head_ct(identity, seed, size, (LEFT_BLEED, RIGHT_BLEED))


def _ct_healthy(seed: int, size: Size) -> Study:
    identity = _identity(3, "Образцов^Пётр^Макетович", "M", "19710623", "КТ головного мозга")
    return _head_ct(identity, seed, size, ())


def _ct_tilted(seed: int, size: Size) -> Study:
    identity = _identity(4, "Модельный^Олег^Пробович", "M", "19630117", "КТ головы, наклон гентри")
    return _tilted_head_ct(identity, seed, size, (RIGHT_BLEED,))


def _ct_late_slice(seed: int, size: Size) -> Study:
    identity = _identity(5, "Запоздалова^Вера^Синтетовна", "F", "19801230", "КТ головного мозга")
    return _head_ct(identity, seed, size, (RIGHT_BLEED,))


def _ct_sent_twice(seed: int, size: Size) -> Study:
    identity = _identity(6, "Дважды^Кира^Повторовна", "F", "19901105", "КТ головного мозга")
    return _head_ct(identity, seed, size, (LEFT_BLEED,))


def _cr_opacity(seed: int, size: Size) -> Study:
    identity = _identity(7, "Снимков^Юрий^Рентгенович", "M", "19690303", "Рентгенография ОГК")
    return render_chest(rows=size.chest, columns=size.chest, identity=identity, seed=seed)


def _cr_clear(seed: int, size: Size) -> Study:
    identity = _identity(8, "Ясная^Мария^Чистовна", "F", "19851019", "Рентгенография ОГК")
    return render_chest((), rows=size.chest, columns=size.chest, identity=identity, seed=seed)


def _fluorography(seed: int, size: Size) -> Study:
    identity = _identity(9, "Скринингова^Яна^Обзоровна", "F", "19770507", "Флюорография")
    return render_chest(
        (LEFT_LOWER,),
        detector=Detector.FLUOROGRAPHY,
        rows=size.chest,
        columns=size.chest,
        identity=identity,
        seed=seed,
    )


def _mr(seed: int, size: Size) -> Study:
    identity = _identity(10, "Магнитов^Глеб^Томографович", "M", "19930808", "МРТ головного мозга")
    geometry = scan(
        evenly(size.slices // 2, spacing=360.0 / size.slices),
        rows=size.matrix // 2,
        columns=size.matrix // 2,
        pixel_mm=(size.pixel_mm[0] * 2, size.pixel_mm[1] * 2),
    )
    return render_mr(head([]), geometry, identity=identity, seed=seed)


STUDIES: Final[Mapping[str, Callable[[int, Size], Study]]] = MappingProxyType(
    {
        "ct-left-bleed": _ct_left_bleed,
        "ct-two-bleeds": _ct_two_bleeds,
        "ct-healthy": _ct_healthy,
        "ct-tilted": _ct_tilted,
        "ct-late-slice": _ct_late_slice,
        "ct-sent-twice": _ct_sent_twice,
        "cr-opacity": _cr_opacity,
        "cr-clear": _cr_clear,
        "fluorography": _fluorography,
        "mr-unwanted": _mr,
    }
)
"""Every study of the demonstration, by name."""

LATE: Final = "ct-late-slice"
"""The study whose last slice is to be sent after the others."""

SENT_TWICE: Final = "ct-sent-twice"
"""The study that is to be sent twice."""


def write_demo(directory: Path, *, size: Size = REALISTIC, seed: int = 2024) -> dict[str, object]:
    """Write the demonstration set.

    Args:
        directory: Gets a folder per study; made if missing.
        size: How large the images are.
        seed: Decides UIDs and noise.

    Returns:
        The manifest, plain values only: under ``studies`` one entry per study with ``name``,
        ``study_instance_uid``, ``patient_id``, ``modality``, ``files`` to send at once, ``late`` files to send
        afterwards, ``sends`` (how often to send), and ``truth``. Paths are relative to ``directory``.

    Raises:
        OSError: The directory or a file cannot be written.
    """
    entries: list[dict[str, object]] = []
    for name, build in STUDIES.items():
        study = build(seed, size)
        paths = [path.relative_to(directory).as_posix() for path in study.write(directory / name)]
        prompt = len(paths) - 1 if name == LATE else len(paths)
        entries.append(
            {
                "name": name,
                "study_instance_uid": study.uid,
                "patient_id": study.patient_id,
                "modality": study.series[0].modality,
                "files": paths[:prompt],
                "late": paths[prompt:],
                "sends": 2 if name == SENT_TWICE else 1,
                "truth": study.truth.summary(),
            }
        )
    return {"seed": seed, "studies": entries}
