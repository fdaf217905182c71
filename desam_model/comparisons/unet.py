"""The U-Net of the rows "Baseline" (trained on the source) and "Upper bound" (on target cases).

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
    """Supervised training only: the baseline of every other image method.

    The class does not choose the training cases, so it serves for the upper bound too.
    """

    def losses(self, example: Example, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The supervised losses of the standard pass."""
        return self.supervised_pass(example.noisy, example).parts
