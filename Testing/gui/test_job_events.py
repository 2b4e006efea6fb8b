"""Lines out of bytes, events out of lines, and what a window is told of them."""

from __future__ import annotations

import json
import random

import pytest

from FractureSegmentationPanel.run.events import (
    LONGEST_LINE_BYTES,
    LONGEST_LOG_LINE,
    MOST_LOG_LINES,
    ChildReader,
    LineSplitter,
    parse_event,
)


def line_of(**event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


def progress(value: object, stage: str = "fragments") -> bytes:
    return line_of(event="progress", stage=stage, value=value)


def test_lines_are_whole_however_the_bytes_arrive() -> None:
    data = "eins\r\nzwölf\n\nein Rest".encode()
    dice = random.Random(5)
    for _ in range(50):
        splitter, lines, rest = LineSplitter(), [], data
        while rest:
            cut = dice.randint(1, 5)
            lines += splitter.feed(rest[:cut])
            rest = rest[cut:]

        assert [*lines, *splitter.rest()] == ["eins", "zwölf", "", "ein Rest"]
        assert splitter.rest() == []


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert LineSplitter().feed(b"caf\xe9 \xff\n") == ["caf� �"]


def test_a_line_that_never_ends_is_given_in_parts() -> None:
    splitter = LineSplitter()

    parts = splitter.feed(b"x" * (LONGEST_LINE_BYTES + 1))

    assert [len(part) for part in parts] == [LONGEST_LINE_BYTES + 1]
    assert splitter.feed(b"y\n") == ["y"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "plain text",
        "{not json}",
        "[1, 2]",
        '{"no": "event"}',
        '{"event": 5}',
        '{"event": "log"',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_event_is_text(line: str) -> None:
    assert parse_event(line) is None


def test_an_event_is_read_with_spaces_around_it() -> None:
    assert parse_event('  {"event": "log", "message": "a"} ') == {"event": "log", "message": "a"}


def test_the_newest_progress_is_told_once_per_look_with_its_stage() -> None:
    reader = ChildReader()

    reader.read_out(progress(0.1, "read") + progress(0.3, "bones"))
    told = reader.take().progress

    assert told is not None
    assert (told.stage, told.fraction, told.seconds_left) == ("bones", 0.3, None)


def test_progress_never_falls_and_nonsense_is_left_alone() -> None:
    reader = ChildReader()

    for value in (0.5, 0.2, "0.9", None, True, [0.9], float("nan"), float("inf")):
        reader.read_out(progress(value))
    before = reader.take().progress
    reader.read_out(progress(7))
    after = reader.take().progress

    assert before is not None
    assert before.fraction == 0.5
    assert after is not None
    assert after.fraction == 1.0


def test_a_warning_is_told_once_even_if_every_bone_repeats_it() -> None:
    reader = ChildReader()
    warning = line_of(event="warning", stage="fragments", message="The GPU ran out of memory.")

    reader.read_out(warning + warning + line_of(event="warning", message="Another."))
    first = reader.take().warnings
    reader.read_out(warning)

    assert first == ("The GPU ran out of memory.", "Another.")
    assert reader.take().warnings == ()


def test_the_log_holds_what_is_no_event_and_all_of_stderr_in_order() -> None:
    reader = ChildReader()

    reader.read_out(b"from a package\n" + line_of(event="log", message="from the run"))
    reader.read_err(b"from ITK\n\n")
    reader.read_out(b"without an end")
    before_the_end = reader.take().log
    reader.end()

    assert before_the_end == "from a package\nfrom the run\nfrom ITK"
    assert reader.take().log == "without an end"
    assert reader.take().log == ""


def test_a_flood_of_text_leaves_a_portion_that_a_window_can_show() -> None:
    reader = ChildReader()

    reader.read_err(b"".join(b"line %d\n" % number for number in range(10_000)))
    reader.read_err(b"x" * 5000 + b"\n")
    lines = reader.take().log.split("\n")

    assert lines[0] == f"[... {10_001 - MOST_LOG_LINES} lines]"
    assert lines[-2] == "line 9999"
    assert len(lines) == MOST_LOG_LINES + 1
    assert len(lines[-1]) == LONGEST_LOG_LINE


def test_the_result_and_the_version_are_kept() -> None:
    reader = ChildReader()

    reader.read_out(line_of(event="started", protocol=1, version="0.1.0"))
    reader.read_out(line_of(event="result", fragment_count=4))

    assert reader.protocol == 1
    assert reader.result == {"event": "result", "fragment_count": 4}
    assert reader.error is None


def test_an_error_is_kept_even_if_parts_of_it_are_missing() -> None:
    reader = ChildReader()

    reader.read_out(line_of(event="error", message="Broken.", remedy=None))

    assert reader.error is not None
    assert (reader.error.code, reader.error.message, reader.error.remedy) == (
        "failed",
        "Broken.",
        "",
    )


def test_events_of_a_later_version_are_left_alone() -> None:
    reader = ChildReader()

    reader.read_out(line_of(event="picture", data="...") + line_of(event="progress"))
    news = reader.take()

    assert news.progress is None
    assert news.log == ""
    assert news.warnings == ()


def test_the_hidden_path_appears_nowhere() -> None:
    place = "/scratch/.slicer.fracseg-1-abcd"
    reader = ChildReader(hidden={place: "[...]", "": "never"})

    reader.read_out(f"{place}/ct.nrrd\n".encode())
    reader.read_err(f"cannot open {place}/ct.nrrd\n".encode())
    reader.read_out(line_of(event="warning", message=f"Look at {place}."))
    reader.read_out(line_of(event="error", code="environment", message=f"No {place}.", remedy=""))
    news = reader.take()

    assert news.log == "[...]/ct.nrrd\ncannot open [...]/ct.nrrd"
    assert news.warnings == ("Look at [...].",)
    assert reader.error is not None
    assert reader.error.message == "No [...]."


def test_the_package_that_could_not_be_imported_is_named() -> None:
    reader = ChildReader()
    assert reader.absent_package == ""

    reader.read_err(b"Traceback (most recent call last):\n  File ...\n")
    reader.read_err(b"ModuleNotFoundError: No module named 'torch'\n")

    assert reader.absent_package == "torch"
