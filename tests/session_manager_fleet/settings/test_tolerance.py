"""How many failures a wave, a run or a merged run tolerates."""

import pytest
from pydantic import TypeAdapter, ValidationError

from session_manager_fleet.settings import Tolerance, ToleranceField


@pytest.mark.parametrize(
    ("written", "failures", "targets", "exceeded"),
    [
        (0, 0, 10, False),
        (0, 1, 10, True),
        (2, 2, 3, False),
        (2, 3, 3, True),
        ("0%", 1, 1000, True),
        ("5%", 5, 100, False),
        ("5%", 6, 100, True),
        ("5%", 1, 19, True),
        ("5%", 1, 20, False),
        ("10%", 0, 0, False),
        ("100%", 7, 7, False),
        ("33%", 1, 3, True),
        ("34%", 1, 3, False),
    ],
)
def test_a_tolerance_is_exceeded_by_more_failures(
    written: int | str, failures: int, targets: int, exceeded: bool
) -> None:
    tolerance = Tolerance.parse(written)

    assert tolerance.exceeded_by(failures, targets) is exceeded
    assert (tolerance.value, str(tolerance)) == (written, str(written))


@pytest.mark.parametrize("text", ["0", "5", '"0%"', '"5%"', '"100%"'])
def test_models_read_and_write_tolerances_as_files_hold_them(text: str) -> None:
    adapter: TypeAdapter[Tolerance] = TypeAdapter(ToleranceField)

    assert adapter.dump_json(adapter.validate_json(text)).decode() == text


@pytest.mark.parametrize("written", [-1, "101%", "5 %", "-5%", "5.5%", "05%", "%", True, "5%\n", "5", None])
def test_refused_tolerances(written: object) -> None:
    with pytest.raises(ValidationError, match="max_failures"):
        TypeAdapter(ToleranceField).validate_python(written)
