"""What the file of utilities and its columns are called."""

UTILITIES_FILE = "utilities.parquet"


def utility_column(value: str) -> str:
    """Return the name of the column that holds the utilities on a value."""
    return f"{value}_utility"


def intensity_column(value: str) -> str:
    """Return the name of the column that holds the estimated intensities on a value, in points."""
    return f"{value}_intensity"
