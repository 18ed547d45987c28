"""Which texts are held out."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import keyed_uniforms, row_keys


def is_held_out(texts: npt.NDArray[np.object_], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return for each of N texts whether it is held out: the same in any file, order or stage of training.

    `share`, from 0 to 1, is that of all possible texts; another seed holds out others.
    """
    keys = row_keys(pd.DataFrame({"text": texts}), seed)
    return np.asarray(keyed_uniforms(keys, 1)[:, 0] < share)
