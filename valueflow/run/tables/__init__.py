"""Tables that users give: found out, read and checked, whatever file they come in."""

from valueflow.run.tables.cells import ROW, Speaker, as_texts, prose, prose_faults, text_of_parts
from valueflow.run.tables.columns import (
    as_numbers,
    number_column,
    rename_columns,
    row_number,
    text_column,
    with_decimal_points,
)
from valueflow.run.tables.content import STANDARD_INPUT, check_there, is_packed
from valueflow.run.tables.delimited import column_names
from valueflow.run.tables.hub import HUGGING_FACE
from valueflow.run.tables.matching import TextIndex
from valueflow.run.tables.reading import DelimitedFile, read_json, read_table, table_kind

__all__ = [
    "HUGGING_FACE",
    "ROW",
    "STANDARD_INPUT",
    "DelimitedFile",
    "Speaker",
    "TextIndex",
    "as_numbers",
    "as_texts",
    "check_there",
    "column_names",
    "is_packed",
    "number_column",
    "prose",
    "prose_faults",
    "read_json",
    "read_table",
    "rename_columns",
    "row_number",
    "table_kind",
    "text_column",
    "text_of_parts",
    "with_decimal_points",
]
