"""What images and people say is printed as it is."""

import pytest

from cli import output

HOSTILE = "[/bold] [red]AX[/red] :boom: [link=x]"


def test_text_that_looks_like_markup_is_printed_as_it_is() -> None:
    with output.console.capture() as captured:
        output.console.print(HOSTILE)
        output.table(HOSTILE, ["description"], [[HOSTILE]])
    assert captured.get().count(HOSTILE) == 3


@pytest.mark.parametrize("rows", [[], [["x"]]])
def test_a_table_without_rows_says_so(rows: list[list[str]]) -> None:
    with output.console.capture() as captured:
        output.table("Studies", ["study"], rows)
    assert ("Studies: none" in captured.get()) is (not rows)
