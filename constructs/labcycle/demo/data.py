"""The demo's data: scikit-learn's breast cancer set, and the same patients seen through a re-calibrated instrument."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

TARGET = "target"


def baseline() -> pd.DataFrame:
    """569 rows, 30 numeric features and the column `target` (0 malignant, 1 benign), in a fixed shuffled order."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    frame = frame.rename(columns={"target": TARGET})
    return frame.sample(frac=1.0, random_state=11).reset_index(drop=True)


def recalibrated(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows after the world changed: the size features read higher, the texture features lower."""
    shifted = frame.copy()
    for column in frame.columns:
        if column == TARGET:
            continue
        if any(word in column for word in ("radius", "perimeter", "area")):
            shifted[column] = frame[column] * 1.6
        elif "texture" in column:
            shifted[column] = frame[column] * 0.7
    return shifted.astype({TARGET: np.int64})
