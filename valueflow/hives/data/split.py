"""Which texts are held out."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.run import keyed_uniforms, row_keys


def is_held_out(texts: npt.NDArray[np.object_], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return for each text whether it is held out.

    Parameters
    ----------
    texts
        (N,) texts.
    share
        Share of all possible texts that is held out, from 0 to 1.
    seed
        Another seed holds out others.

    Returns
    -------
    (N,) array
        The same for a text in any place: in another file, order or stage of training.
    """
    keys = row_keys(pd.DataFrame({"text": texts}), seed)
    return np.asarray(keyed_uniforms(keys, 1)[:, 0] < share)
