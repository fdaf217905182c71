"""The rows "Baseline" and "Upper bound": a plain U-Net, trained on the source (or on other cases).

Source: Isensee et al., nnU-Net, Nature Methods 2021; sources.md S28, S29.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.comparisons.image.image_method import Example, ImageMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor


class UNetBaseline(ImageMethod):
    """Supervised training alone: what every other image method is compared with.

    Which cases it is trained on is not its business, so the upper bound is this class too.
    """

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The supervised losses of the standard pass."""
        return self.supervised_pass(example.noisy, example).parts
