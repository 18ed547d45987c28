"""Tables that users give: found out, read and checked, whatever file they come in."""

from valueflow.run.tables.cells import ROW, as_texts, prose, text_of_parts
from valueflow.run.tables.columns import as_numbers, number_column, rename_columns, row_number, text_column
from valueflow.run.tables.content import STANDARD_INPUT, check_there
from valueflow.run.tables.hub import HUGGING_FACE
from valueflow.run.tables.matching import TextIndex
from valueflow.run.tables.reading import DelimitedFile, read_json, read_table, table_kind

__all__ = [
    "HUGGING_FACE",
    "ROW",
    "STANDARD_INPUT",
    "DelimitedFile",
    "TextIndex",
    "as_numbers",
    "as_texts",
    "check_there",
    "number_column",
    "prose",
    "read_json",
    "read_table",
    "rename_columns",
    "row_number",
    "table_kind",
    "text_column",
    "text_of_parts",
]
