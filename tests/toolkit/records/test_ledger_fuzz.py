"""Whatever is written to a ledger is read again, and a cut ledger loses no whole line."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit.records.ledger import LEDGER_NAME, Ledger, Outcome, read_ledger

NAMES = st.lists(
    st.text(min_size=1).filter(lambda part: "/" not in part and "\0" not in part and part != ".."), min_size=1
)


PATHS = NAMES.map("/".join).filter(lambda path: not path.startswith("/"))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.none()


FACES = st.fixed_dictionaries(
    {}, optional={"yaw": NUMBERS, "score": NUMBERS, "sharpness": NUMBERS, "matrix": st.lists(NUMBERS)}
)


OUTCOMES = st.builds(
    Outcome,
    input=PATHS,
    sha256=st.text(),
    status=st.sampled_from(["written", "skipped", "rejected", "failed"]),
    reason=st.text(),
    outputs=st.lists(PATHS, max_size=3),
    faces=st.lists(FACES, max_size=3),
    seconds=st.floats(0, 1e6),
    size=st.integers(-1, 2**63),
    mtime_ns=st.integers(-(2**63), 2**63),
    settings=st.text(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(OUTCOMES, max_size=6))
def test_whatever_is_written_to_a_ledger_is_read_again(rows: list[Outcome], tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).unlink(missing_ok=True)
    with Ledger(tmp_path) as ledger:
        for row in rows:
            ledger.append(row)
    last = {row.input: row for row in rows}
    assert {row.input: row for row in read_ledger(tmp_path)} == last


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(OUTCOMES, min_size=1, max_size=4), cut=st.integers(1, 5000))
def test_a_ledger_that_was_cut_loses_no_whole_line(rows: list[Outcome], cut: int, tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.unlink(missing_ok=True)
    with Ledger(tmp_path) as ledger:
        for row in rows:
            ledger.append(row)
    data = path.read_bytes()[:-cut]
    path.write_bytes(data)
    with Ledger(tmp_path) as ledger:
        ledger.append(Outcome(input="new", status="written"))
    whole = rows[: data.count(b"\n")]
    assert {row.input for row in read_ledger(tmp_path)} >= {row.input for row in whole} | {"new"}
