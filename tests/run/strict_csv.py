"""A reader of delimited text, letter by letter after RFC 4180, that guesses at nothing; tests compare with it."""


def strict_rows(text: str, delimiter: str, *, spaced: bool = False) -> list[list[str]] | None:
    """Return the rows, or None where the text breaks a rule; `spaced`: one blank or more may follow a delimiter."""
    rows: list[list[str]] = []
    row: list[str] = []
    place, n = 0, len(text)
    while place < n:
        while spaced and place < n and text[place] == " ":
            place += 1
        cell = ""
        if place < n and text[place] == '"':
            place += 1
            while True:
                if place >= n:
                    return None
                if text[place] == '"':
                    if text[place + 1 : place + 2] == '"':
                        cell += '"'
                        place += 2
                        continue
                    place += 1
                    break
                cell += text[place]
                place += 1
            if place < n and text[place] not in (delimiter, "\r", "\n"):
                return None
        else:
            while place < n and text[place] not in (delimiter, "\r", "\n"):
                cell += text[place]
                place += 1
        row.append(cell)
        if place < n and text[place] == delimiter:
            place += 1
            if place == n or text[place] in "\r\n":
                row.append("")
            else:
                continue
        if place < n:
            place += 2 if text[place : place + 2] == "\r\n" else 1
        rows.append(row)
        row = []
    if row:
        rows.append(row)
    return rows
