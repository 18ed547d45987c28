"""Delimited text is read as a strict reader reads it, or refused with its row."""

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.run.strict_csv import strict_rows
from valueflow.run import ROW, InputError, read_table

FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def fault(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_table(path, "input")
    message = str(caught.value)
    assert "\n" not in message
    assert not any(word in message for word in ("Error", "Traceback", "tokenizing", "codec", "index_col")), message
    return message


def read_or_refused(path: Path) -> pd.DataFrame | None:
    """Return the table, or None where it is refused in one line."""
    try:
        return read_table(path, "input")
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    return None


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TABLE = [["What now?", "I share; mostly.", 'He said "no".'], ["Why?", "line\r\nbreak\nand\rmore", " kept, \tas is "]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_divides_the_header_divides_the_rows(
    tmp_path: Path, delimiter: str, line: str, encoding: str, packed: bool
) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=line).writerows([["query", "response", "note"], *TABLE])
    content = stream.getvalue().encode(encoding)
    path = write(tmp_path, gzip.compress(content) if packed else content, "t.csv.gz" if packed else "t.txt")
    read = read_table(path, "input")
    assert list(read.columns) == ["query", "response", "note"]
    assert read.to_numpy().tolist() == TABLE


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("sep=;\na;b\n1,5;x\n", "t.csv", {"a": ["1,5"], "b": ["x"]}),
        ("sep=,\r\na;b,c\r\n1,2\r\n", "t.csv", {"a;b": ["1"], "c": ["2"]}),
        ("text\nI share, mostly; really.\n", "t.tsv", {"text": ["I share, mostly; really."]}),
        ("a\tb, c\n1\t2\n", "t.tsv", {"a": ["1"], "b, c": ["2"]}),
        ("a;b, c\n1;2\n3;4\n", "t.csv", {"a": ["1", "3"], "b, c": ["2", "4"]}),
        ("a, b; c\n1,2\n3,4\n", "t.csv", {"a": ["1", "3"], "b; c": ["2", "4"]}),
        ('a, b, c\n"x", "y, z", w\n', "t.csv", {"a": ["x"], "b": ["y, z"], "c": ["w"]}),
        (" a ,b \n x ,y\n", "t.csv", {"a": [" x "], "b": ["y"]}),
        ("\n\na,b\n\n1,2\n,\n , \n3,4\n\n", "t.csv", {"a": ["1", "3"], "b": ["2", "4"]}),
        ("a,b\n1,2\n,,,\n", "t.csv", {"a": ["1"], "b": ["2"]}),
        ("a,b\n007,NA\n", "t.csv", {"a": ["007"], "b": ["NA"]}),
        (",b\n1,2\n", "t.csv", {"Unnamed: 0": ["1"], "b": ["2"]}),
        ("\ufeff\ufeffa,b\n1,2\n", "t.csv", {"a": ["1"], "b": ["2"]}),
        ("\n\ufeffa,b\n1,\ufeff2\n", "t.csv", {"a": ["1"], "b": ["\ufeff2"]}),
        ('\ufeff\n\ufeff\r\n\ufeff\ufeff"a";b\n1;2\n', "t.csv", {"a": ["1"], "b": ["2"]}),
        ("\n\ufeffsep=;\na,x;b\n1;2\n", "t.csv", {"a,x": ["1"], "b": ["2"]}),
        ("\ufeffsep=;\n\n\ufeffa;b\n1;2\n", "t.csv", {"a": ["1"], "b": ["2"]}),
        ("BZh,b\n1,2\n", "t.csv", {"BZh": ["1"], "b": ["2"]}),
        ("a\n" + "x" * 200_000 + "\n", "t.csv", {"a": ["x" * 200_000]}),
    ],
)
def test_tables_that_people_have(tmp_path: Path, content: str, name: str, expected: dict[str, list[str]]) -> None:
    read = read_table(write(tmp_path, content, name), "input")
    assert read.to_dict("list") == expected


def test_rows_keep_the_numbers_that_the_file_gives_them(tmp_path: Path) -> None:
    read = read_table(write(tmp_path, "a,b\n1,2\n\n,\n3,4\n"), "input")
    assert read.index.name == ROW
    assert read.index.tolist() == [1, 4]
    assert read_table(write(tmp_path, "a,b\n1,2\n3,4\n\n,\n"), "input").index.equals(pd.RangeIndex(2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,a\n1,2,3\n", "column 'a' appears twice"),
        ("a, a\n1,2\n", "column 'a' appears twice"),
        ('a,b\n1,2\nx,"He said \\"no\\" twice."\n', "row 2: text goes on after its closing quotation mark"),
        ('a,b\nx,"open\ny,never "so" said\n', "row 1: text goes on after its closing quotation mark"),
        ('a,b\n1,2\n3,"open\nx,y\n', "row 2: a quotation mark is opened and never closed"),
        ('"a,b\n1,2\n', "header: a quotation mark is opened and never closed"),
        ("a,b\n1,2\n3,4,5\n", "row 2 has 3 cells, the header 2: quote texts that hold commas"),
        ("a;b\n1;2;3\n", "row 1 has 3 cells, the header 2: quote texts that hold semicolons"),
        ("a,b\n1\n", "row 1 has 1 cell, the header 2"),
        ("a,b\n1,I share\nmy rice\n", "row 2 has 1 cell, the header 2: quote texts that hold line breaks"),
        ("a,b\n" + "1,2\n" * 600 + "1,2,3\n", "row 601 has 3 cells"),
        ("a,b\n", "has no rows below its header"),
        ("\n \n", "has no header"),
        ("", "is empty"),
        (b"a\x00\n\x00b\x00\n\x00", "holds NUL characters"),
        (b"a,b\n1,caf\xe8\n", "is not UTF-8 (byte 0xe8 in line 2)"),
        (b"a\n\xcf\xf0\xe8\xe2\xe5\xf2\n", "is not UTF-8"),
        (b"a\nn\x96o fuera\xff\n", "is not UTF-8"),
        (b"\x1f\x8b\x08\x00 cut off", "is compressed by gzip, and damaged"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-6], "is compressed by gzip, and damaged"),
        (b"BZh91AY&SY", "is compressed by bzip2"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook of the old kind"),
        (b"PK\x03\x04 cut off", "is a damaged zip archive"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS"),
    ],
)
def test_what_would_be_misread_is_refused_with_its_row(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in fault(write(tmp_path, content))


def test_windows_1252_is_read_where_that_is_certain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = [
        "I don\u2019t \u2013 \u201creally\u201d\u2026 20 \u20ac",
        "Stra\u00dfe, M\u00fcller, \u00d6L, caf\u00e9, \u00e9t\u00e9",
    ]
    path = write(tmp_path, "\n".join(["text", *(f'"{text}"' for text in texts)]).encode("cp1252"))
    assert read_table(path, "input")["text"].tolist() == texts
    assert "it is read as Windows-1252" in caplog.text


WESTERN = {
    "French": "\u00ab J\u2019ai tr\u00e8s peur, m\u00eame l\u00e0 o\u00f9 les autres sont avec nous.\u00a0\u00bb dit "
    "sa s\u0153ur, mais elle est na\u00efve.",
    "Spanish": "\u00bfQu\u00e9 har\u00e1s ma\u00f1ana con los ni\u00f1os del se\u00f1or? "
    "\u00a1Nada! Por eso voy una vez al a\u00f1o.",
    "both": "\u00c0 la m\u00e8re des enfants qui sont dans une \u00e9cole: pour elle.\n"
    "Los ni\u00f1os del a\u00f1o, pero una y con.",
}


@pytest.mark.parametrize("language", WESTERN)
def test_french_and_spanish_are_read_in_their_code_page(tmp_path: Path, language: str) -> None:
    text = WESTERN[language]
    path = write(tmp_path, f'text\n"{text}"\n'.encode("cp1252"))
    assert read_table(path, "input")["text"].tolist() == [text]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Tr\u00e8s bien", "cp1252"),  # too few words
        ("It is na\u00efve of them all to say that they were there.", "cp1252"),
        ("N\u00e3o sei; a m\u00e3e dos meninos n\u00e3o veio com eles para casa.", "cp1252"),
        (
            "\u010clovek ne more re\u010di, da je les v hi\u0161i; \u010de je les mo\u010dan, je tudi les te\u017eak.",
            "cp1250",
        ),
        (
            "Mo\u017ee by\u0107, \u017ce nie chc\u0119 ju\u017c i\u015b\u0107 do domu, bo jest p\u00f3\u017ano.",
            "cp1250",
        ),
        (
            "A f\u0171, a b\u0171n \u00e9s a m\u0171 mind az \u00f6v\u00e9k, de a m\u0171v\u00e9sz nem volt ott.",
            "cp1250",
        ),
        (
            "J\u2019ai tr\u00e8s peur, m\u00eame l\u00e0 o\u00f9 les autres sont avec nous, mais elle est l\u00e0.",
            "mac_roman",
        ),
        ("Elle est tr\u00e8s loin des autres qui sont avec nous, m\u00eame dans les r\u00eaves.", "cp850"),
    ],
)
def test_letters_that_may_be_others_are_refused(tmp_path: Path, text: str, encoding: str) -> None:
    assert "is not UTF-8" in fault(write(tmp_path, f'text\n"{text}"\n'.encode(encoding)))


@pytest.mark.parametrize("encoding", ["cp1250", "cp1251", "cp1253", "mac_roman", "gbk", "shift_jis", "koi8_r", "big5"])
def test_text_of_another_code_page_is_never_taken_for_it(tmp_path: Path, encoding: str) -> None:
    words = {
        "cp1250": "p\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148",
        "cp1251": "\u043f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
        "cp1253": "\u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1",
        "mac_roman": "caf\u00e9 cr\u00e8me",
        "gbk": "\u4f60\u597d\uff0c\u4e16\u754c",
        "shift_jis": "\u3053\u3093\u306b\u3061\u306f",
        "koi8_r": "\u043f\u0440\u0438\u0432\u0435\u0442",
        "big5": "\u4f60\u597d",
    }
    assert "is not UTF-8" in fault(write(tmp_path, f"text\n{words[encoding]}\n".encode(encoding)))


LETTERS = st.text(st.sampled_from('ab ",;\t\n\r\\='), max_size=40)


@FUZZ
@given(LETTERS)
@example('a,b\n1,"2"3\n')
@example("a,b\r1,2\r")
@example('a\n""\n')
@example('"sep=,\na,b\n1,2\n')
def test_no_text_is_read_as_a_strict_reader_would_not(tmp_path: Path, text: str) -> None:
    read = read_or_refused(write(tmp_path, text))
    if read is None:
        return
    header_on = text
    while header_on and not header_on.splitlines()[0].strip():
        header_on = header_on[len(header_on.splitlines(keepends=True)[0]) :]
    candidates = []
    for delimiter in ",;\t":
        for spaced in (False, True):
            rows = strict_rows(header_on, delimiter, spaced=spaced)
            if rows:
                header = [name.strip() or f"Unnamed: {place}" for place, name in enumerate(rows[0])]
                # Delimiters alone are no row, however many there are.
                cells = [row for row in rows[1:] if any(map(str.strip, row)) or len(header) == len(row) == 1]
                candidates.append((header, [row for row in cells if row != [""] or len(header) > 1]))
    found = read.to_numpy().tolist()
    found = [row for row in found if row != [""] or len(read.columns) > 1]
    assert (list(read.columns), found) in candidates, (text, list(read.columns), found)


@FUZZ
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3), min_size=1))
def test_what_the_csv_module_writes_comes_back(tmp_path: Path, rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *rows])
    path = write(tmp_path, stream.getvalue())
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if filled:
        assert read_table(path, "input").to_numpy().tolist() == filled
    else:
        assert "has no rows" in fault(path)


@FUZZ
@given(st.binary(max_size=60))
def test_no_bytes_end_in_a_traceback(tmp_path: Path, content: bytes) -> None:
    for name in ("t.csv", "t.jsonl", "t.json", "t.csv.gz", "t.xlsx", "t.parquet"):
        read_or_refused(write(tmp_path, content, name))
