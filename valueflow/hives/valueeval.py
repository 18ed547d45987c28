"""Arguments of Touché-ValueEval as rows of a training table."""

from pathlib import Path

import numpy as np
import pandas as pd

from valueflow.hives.anchor_rows import level_rows, with_stage_2
from valueflow.run.errors import InputError, nearest
from valueflow.run.tables import text_column
from valueflow.theory import Theory, load_theory

VALUEEVAL_SUFFIX = ".tsv"

_ARGUMENTS, _LABELS = "arguments", "labels"
_ID, _CONCLUSION, _STANCE, _PREMISE = "Argument ID", "Conclusion", "Stance", "Premise"
_STANCES = {"in favor of": "For", "in favour of": "For", "against": "Against"}

_WITHOUT_NODE = {"Universalism: objectivity": "universalism"}
"""Refined values of the task that the theory's hierarchy has no node for -> the node above."""


def valueeval_rows(arguments: Path) -> pd.DataFrame:
    """Read arguments and their labels into rows of a training table, one for each path of each value.

    Parameters
    ----------
    arguments
        TSV with `Argument ID`, `Conclusion`, `Stance` and `Premise`; the labels stand beside it, in the file that has
        `labels` in its name in the place of `arguments`, one column of 0 and 1 for each of the 20 refined values.

    Returns
    -------
    pandas.DataFrame
        `text` ("conclusion. stance: premise"), `theory` (pvq), `level_1` to `level_4`, `direction` (support: a label says
        that the argument resorts to the value) and the columns of stage 2. Arguments without any label have no row.

    Raises
    ------
    InputError
        A file or column is missing, a label is neither 0 nor 1 or stands for no value, or an argument has no labels.
    """
    table = _read_tsv(arguments, (_ID, _CONCLUSION, _STANCE, _PREMISE))
    labels_path = arguments.with_name(arguments.name.replace(_ARGUMENTS, _LABELS))
    if labels_path == arguments:
        raise InputError(f"data: {arguments}: its name must hold '{_ARGUMENTS}', so that its labels can be found")
    labels = _read_tsv(labels_path, (_ID,)).set_index(_ID)
    values = [str(column) for column in labels.columns]
    theory = load_theory("pvq")
    nodes = [_node(theory, value, labels_path) for value in values]
    unlabelled = ~table[_ID].isin(labels.index).to_numpy()
    if unlabelled.any():
        row = int(np.flatnonzero(unlabelled)[0])
        raise InputError(f"{arguments}, row {row + 1}: argument '{table[_ID].iloc[row]}' has no labels in {labels_path}")
    marks = labels.loc[table[_ID]].to_numpy()
    wrong = ~np.isin(marks, ("0", "1"))
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise InputError(
            f"{labels_path}, argument '{table[_ID].iloc[row]}', column '{values[column]}': "
            f"'{marks[row, column]}' is no label; give 0 or 1"
        )
    texts = _texts(table, arguments)
    places = [level_rows(theory, node) for node in nodes]
    import os
    rule=os.environ.get("VE_RULE","sets")
    rows=[]
    for row in range(len(texts)):
        held=[nodes[c] for c in np.flatnonzero(marks[row]=="1")]
        if rule=="sets":
            ps=[q for n in held for q in theory.paths(n)]
        elif rule=="major":
            q=majority(theory,held); ps=[q] if q else []
        elif rule=="lca":
            q=common(theory,held); ps=[q] if q else []
        for q in ps:
            rows.append({"text": texts[row], "theory": theory.name, **{f"level_{i}":x for i,x in enumerate(q,1)}, "direction":"support"})
    if os.environ.get("VE_FORM")=="premise":
        pass
    if not rows:
        raise InputError(f"{labels_path}: no argument has a label 1")
    return with_stage_2(pd.DataFrame(rows).fillna(""))


def _texts(table: pd.DataFrame, where: Path) -> list[str]:
    conclusions = text_column(table, _CONCLUSION, str(where))
    premises = text_column(table, _PREMISE, str(where))
    stances = [_STANCES.get(stance.strip().casefold(), stance.strip()) for stance in table[_STANCE]]
    return [
        f"{conclusion.strip()}. {stance}: {premise.strip()}"
        for conclusion, stance, premise in zip(conclusions, stances, premises, strict=True)
    ]


def _node(theory: Theory, value: str, where: Path) -> str:
    """Return the node of a refined value such as `Benevolence: caring`: its full name, its second part, or its first."""
    first, _, second = value.partition(":")
    candidates = (_WITHOUT_NODE.get(value, ""), value.replace(":", ""), second.strip(), first if not second else "")
    found = next((node for name in candidates if name and (node := theory.find(name)) is not None), None)
    if found is None:
        raise InputError(f"{where}: column '{value}' is no value of {theory.title}; {nearest(value, theory.nodes)}")
    return found


def _read_tsv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"data: {path} does not exist")
    try:
        # Premises hold single quotation marks of all kinds: none of them quotes a field.
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig", quoting=3)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"data: {path} is not a readable TSV file in UTF-8: {error}") from error
    for column in columns:
        if column not in table:
            raise InputError(f"{path}: column '{column}' is missing; {nearest(column, map(str, table.columns))}")
    return table


def majority(th,ns):
    if len(ns)==1: return th.paths(ns[0])[0] if len(th.paths(ns[0]))==1 else th.paths(ns[0])[0]
    ps=[(p,1/len(th.paths(n))) for n in ns for p in th.paths(n)]
    pre=()
    while True:
        v={}
        for p,w_ in ps:
            if p[:len(pre)]==pre and len(p)>len(pre): v[p[len(pre)]]=v.get(p[len(pre)],0)+w_
        if not v: return pre
        top=sorted(v.items(),key=lambda x:-x[1])
        if len(top)>1 and top[0][1]-top[1][1]<1e-9: return pre
        pre=pre+(top[0][0],)


def common(th,ns):
    best=()
    for q in [p for n in ns for p in th.paths(n)]:
        for l in range(len(q),0,-1):
            if all(any(pp[:l]==q[:l] for pp in th.paths(n)) for n in ns):
                if l>len(best): best=q[:l]
                break
    return best
