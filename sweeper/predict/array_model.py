"""An exported model as a function from a volume of numbers to a mask, for servers and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sweeper.predict.model_folder import open_model_folder
from sweeper.predict.predictor import Predictor
from sweeper.predict.scan import scan_of_array

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sweeper.store.workspace import Workspace

Spacing = tuple[float, float, float]


class ArrayModel:
    """Segments arrays; the masks are those of `sweeper predict` for a file with these voxels.

    Args:
        predictor: A model or an ensemble.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @classmethod
    def open(cls, folder: Path, workspace: Workspace) -> ArrayModel:
        """The model of an exported folder, on the GPU if there is one; see `open_model_folder`."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(Predictor([open_model_folder(folder, workspace, device)]))

    def predict(
        self,
        image: NDArray[Any],
        spacing_mm: Spacing = (1.0, 1.0, 1.0),
        domain: str | None = None,
    ) -> NDArray[np.uint8]:
        """The mask of an image, 0 and 1, with the image's slices, rows and columns.

        Args:
            image: `(z, y, x)`, `(y, x)`, or with channels first `(C, z, y, x)`. Row 0 is anterior,
                column 0 the patient's right and slice 0 inferior, as in the files' canonical frame.
            spacing_mm: (z, y, x) voxel size; only preprocessing that resamples uses it.
            domain: Domain whose preprocessing is used; by default the one that was trained on.

        Returns:
            `(z, y, x)` uint8, or `(y, x)` for a single slice without a slice axis.

        Raises:
            DataError: The image has another shape, other channels, or values that are not finite.
        """
        settings = self.predictor.settings_for(domain)
        channels = self.predictor.facts.sizes.image_channels
        scan = scan_of_array(image, spacing_mm, settings, channels)
        mask = scan.restore(self.predictor.predict(scan.pixels).mask)
        return mask[0] if np.ndim(image) == 2 else mask
