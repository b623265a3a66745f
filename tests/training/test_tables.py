"""Tables come back as they were written; what is torn or damaged is dropped or refused."""

import json

import pytest

from jaxseg.training import tables

COLUMNS = {"arm": str, "seed": int, "loss": float}
ROWS = [
    {"arm": "plain", "seed": 0, "loss": 0.1 + 0.2},
    {"arm": "residual", "seed": 1, "loss": float("inf")},
    {"arm": "x", "seed": 2, "loss": 1e-320},
]


def test_csv_round_trip(tmp_path):
    path = tmp_path / "t.csv"
    tables.write_csv(path, list(COLUMNS), ROWS)
    assert path.read_text().splitlines()[0] == "arm,seed,loss"
    assert tables.read_csv(path, COLUMNS) == ROWS
    tables.write_csv(path, list(COLUMNS), [])
    assert tables.read_csv(path, COLUMNS) == []


def test_markdown_table():
    assert tables.markdown_table("way | ms", ["vmap | 2", "loop | 3"]) == [
        "| way | ms |",
        "|---|---|",
        "| vmap | 2 |",
        "| loop | 3 |",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv has the columns \[\], not \['arm', 'seed', 'loss'\]: it is damaged"),
        ("arm,loss,seed\nplain,1,2\n", r"t\.csv has the columns \['arm', 'loss', 'seed'\]"),
        ("arm,seed,loss\nplain,0,1.5\nplain,1\n", r"t\.csv, line 3, is damaged"),
        ("arm,seed,loss\nplain,0,1.5,9\n", r"t\.csv, line 2, is damaged"),
        ("arm,seed,loss\nplain,zero,1.5\n", r"t\.csv, line 2, is damaged .*zero.*: move the file"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        tables.read_csv(path, COLUMNS)


def test_jsonl(tmp_path):
    for i in range(2):
        tables.append_jsonl(tmp_path / "m.jsonl", {"i": i, "loss": [None, 0.5]})
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["i"] for line in lines] == [0, 1]


def test_a_line_goes_behind_one_that_a_kill_has_torn(tmp_path):
    path = tmp_path / "m.jsonl"
    for content in (b"", b'{"i": 0}\n', b'{"i": 0}\n{"i": 1, "lo'):
        path.write_bytes(content)
        tables.append_jsonl(path, {"i": 2})
        assert path.read_bytes().splitlines()[-1] == b'{"i": 2}'
        assert path.read_bytes().startswith(content)
        assert len(path.read_bytes().splitlines()) == len(content.splitlines()) + 1


def test_damaged_lines_of_jsonl_are_dropped(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"i": 0}\n\xff\xfe\n5\n{"i": 1\n{"i": 2}\n')
    assert tables.keep_jsonl(path, lambda record: True) == [{"i": 0}, {"i": 2}]
    assert path.read_text() == '{"i": 0}\n{"i": 2}\n'


def test_lines_that_will_be_written_again_are_dropped(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(4)))
    assert tables.keep_jsonl(path, lambda record: record["step"] < 2) == [{"step": 0}, {"step": 1}]
    assert path.read_text().splitlines() == ['{"step": 0}', '{"step": 1}']
    assert tables.keep_jsonl(tmp_path / "none.jsonl", lambda record: True) == []
